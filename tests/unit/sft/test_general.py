"""General instructions: what a file may hold, and the tokens that come of it."""

import json
from dataclasses import replace

import pytest

from supertiny.compress.vocab import trim_vocabulary
from supertiny.core.errors import UserError
from supertiny.model.batches import Branch
from supertiny.model.checkpoint import encoder
from supertiny.sft import general
from supertiny.sft.general import GeneralSet, Instruction, pieces, read_general
from tests.house import ROOT
from tests.project import smoke_project
from tests.unit.compress.conftest import llama_tokenizer, random_model

ROWS = [{"instruction": f"Say {n}.", "answer": f"It is {n}."} for n in range(25)]
TEMPLATE = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}[assistant] "


@pytest.fixture
def project(tmp_path):
    def change(params, profile):
        profile["sizes"]["general"] = {"examples": 7, "dev_examples": 1}

    with smoke_project(tmp_path, change) as folder:
        yield folder


def written(folder, rows):
    path = folder / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_one_row_in_ten_is_dev_and_the_profile_says_how_many(project):
    data = read_general(written(project, ROWS))
    assert [row.answer for row in data.train] == [f"It is {n}." for n in range(7)]
    assert data.dev == [Instruction("Say 9.", "It is 9.")]
    profile = project / "profiles/smoke.yaml"
    profile.write_text(profile.read_text().replace("examples: 7", "examples: 0").replace("examples: 1", "examples: 9"))
    data = read_general(written(project, ROWS))
    assert len(data.train) == 23 and [row.instruction for row in data.dev] == ["Say 9.", "Say 19."]


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (["Say 3."], "expected an object with the fields 'instruction' and 'answer'"),
        ({"instruction": "Say 3."}, "field 'answer': expected a text, got None"),
        ({"instruction": " \n", "answer": "3"}, r"field 'instruction': expected a text, got ' \\n'"),
        ({"instruction": 3, "answer": "3"}, "field 'instruction': expected a text, got 3"),
        ({"instruction": "Say 3.", "answer": "\ud800"}, "field 'answer': expected a text"),
        ({"instruction": "Say", "input": "3", "answer": "3"}, "field 'input' is not known; put all"),
        (ROWS[1], "the row of line 2 again"),
    ],
)
def test_a_row_that_is_none_is_named(project, row, wrong):
    path = written(project, [*ROWS[:3], row, *ROWS[3:]])
    with pytest.raises(UserError, match=rf"own\.jsonl, line 4: {wrong}"):
        read_general(path)


def test_too_few_rows_to_keep_some_for_dev_are_refused(project):
    with pytest.raises(UserError, match=r"own\.jsonl: 9 rows; give 10 at least"):
        read_general(written(project, ROWS[:9]))


@pytest.mark.parametrize(
    ("template", "wanted"), [(TEMPLATE, "[user] hi\n[assistant] |yo"), (None, "user: hi\nassistant:| yo")]
)
def test_a_row_is_a_chat_and_the_answer_with_its_end_is_learned(bpe, template, wanted):
    """The template's own tokens, if there is one; else role by role, and a space before the answer."""
    bpe.chat_template = template
    asked, answer = wanted.split("|")
    (branch,) = GeneralSet([Instruction("hi", "yo")], [], 0).branches(bpe)
    assert branch == Branch(encoder(bpe)(asked), [*encoder(bpe)(answer), bpe.eos_token_id])


@pytest.mark.parametrize("size", [1, 2, 4, 9])
def test_a_group_says_once_what_its_conversations_begin_with(bpe, monkeypatch, size):
    """Every row is prefix + branch, in the order of the file, and keeps a token of its prompt to itself."""
    monkeypatch.setattr(general, "ROWS_A_GROUP", size)
    data = GeneralSet([], [Instruction(f"turn {n}", "on") for n in (2, 1, 3, 4, 5)], 0)
    alone = replace(data, train=data.dev).branches(bpe)
    packs = [pack for batch in data.dev_batches(bpe, 1) for pack in batch]
    found = [Branch(pack.prefix + one.prompt, one.response) for pack in packs for one in pack.branches]
    assert sorted(found, key=str) == sorted(alone, key=str)
    assert max(len(pack.branches) for pack in packs) == min(size, 5)
    assert all(pack.prefix and one.prompt for pack in packs for one in pack.branches)


def test_a_vocabulary_trimmed_with_the_pieces_spells_every_row_as_before():
    full = llama_tokenizer()
    data = GeneralSet(
        [Instruction("turn lights", "on the kitchen")], [Instruction("newer", "thermostat to degrees")], 0
    )
    model, trimmed = trim_vocabulary(random_model(full), full, pieces(data, full))
    both = replace(data, train=[*data.train, *data.dev])
    for ours, theirs in zip(both.branches(trimmed), both.branches(full), strict=True):
        for name in ("prompt", "response"):
            spelt = [tok.convert_ids_to_tokens(getattr(one, name)) for tok, one in ((trimmed, ours), (full, theirs))]
            assert spelt[0] == spelt[1]
    assert model.config.vocab_size < len(full)


def test_the_set_of_the_project_is_as_it_says():
    found = [json.loads(line) for line in (ROOT / "data/general/instructions.jsonl").read_text().splitlines()]
    assert len({row["instruction"] for row in found}) == len(found) == 320
    assert all(set(row) == {"instruction", "answer"} for row in found)
    assert all(8 <= len(row["answer"].split()) <= 70 for row in found)
