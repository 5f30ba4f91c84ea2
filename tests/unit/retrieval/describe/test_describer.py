"""Kept descriptions as packs of tokens."""

import json
from random import Random

import pytest

from supertiny.core.errors import UserError
from supertiny.model.answer import chat_ids
from supertiny.model.checkpoint import encoder
from supertiny.model.train import Job
from supertiny.retrieval.describe import description_chat
from supertiny.retrieval.train import packs, read_lessons, train_describer


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_every_lesson_is_learnt_once_as_the_engine_would_ask_it(size, pool, need, tokenizer):
    """Prefix + branch = the tokens of the whole conversation, then the description and the end."""
    lessons = [(description_chat(need(n, "lock_door"), [need(9, "start_fan")], pool), f"Locks {n}") for n in range(5)]
    encode = encoder(tokenizer)
    wanted = [chat_ids(tokenizer, chat) + encode(text) + [tokenizer.eos_token_id] for chat, text in lessons]
    made = packs(lessons, tokenizer, size, Random(0))
    assert sorted(one.prefix + b.prompt + b.response for one in made for b in one.branches) == sorted(wanted)
    assert max(len(one.branches) for one in made) == min(size, 5)
    assert all(branch.prompt for one in made for branch in one.branches)
    assert all(len(one.prefix) > 16 for one in made)


def test_lessons_are_of_queries_of_the_pool(pool, need, tmp_path):
    path = tmp_path / "kept.jsonl"
    path.write_text(json.dumps({"id": "1", "description": "Locks"}) + "\n")
    assert read_lessons(path, [need(1, "lock_door")], [], pool) == [
        (description_chat(need(1, "lock_door"), [], pool), "Locks")
    ]
    for row in ({"id": "2", "description": "Locks"}, {"id": "1", "description": ""}, {"id": "1"}, [1]):
        path.write_text(json.dumps(row) + "\n")
        with pytest.raises(UserError, match=r"kept\.jsonl, line 1: no description of a query of the pool"):
            read_lessons(path, [need(1, "lock_door")], [], pool)


def test_without_any_kept_description_there_is_nothing_to_train_on(tmp_path):
    with pytest.raises(UserError, match=r"kept no description.*describe\.queries"):
        train_describer(Job(tmp_path, tmp_path / "out", tmp_path / "log.csv", None), [], None, 0)
