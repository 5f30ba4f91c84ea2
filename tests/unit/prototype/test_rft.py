"""What the judge accepts becomes the training set, and every count is of what happened."""

import json
from dataclasses import replace

import pytest

from supertiny.core.calls import Call, Fault, Function, Malformed, Refusal, Syntax
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example
from supertiny.judge.reference import Failure, Verdict, by_reference
from supertiny.prototype.config import RftSizes
from supertiny.prototype.rft import Answered, accepted, build, kept_and_dropped, precision, read_answers

POOL = {"dim": Function("dim", "Dims"), "lock": Function("lock", "Locks")}
PROMPT = PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=1, answer=Syntax.json)
RIGHT, WRONG = Verdict(True, None, True), Verdict(False, Failure.WRONG_FUNCTION, False)
BAD = Malformed(Fault.NOT_JSON, "")


def ask(name):
    return Example(id=name, query=f"query {name}", candidates=("dim", "lock"), answers=(Call("dim"),))


def test_the_accepted_reply_is_the_answer_that_is_trained_on():
    """A judge may accept what the reference does not know; what it rejects is gone, references and all."""
    found = accepted(
        [ask("1"), ask("2"), ask("3")], [Call("lock"), Call("dim"), Refusal.UNCLEAR], [RIGHT, WRONG, RIGHT]
    )
    assert [(one.id, one.answers) for one in found] == [("1", (Call("lock"),)), ("3", (Refusal.UNCLEAR,))]


def test_a_malformed_reply_is_never_trained_on_whatever_a_judge_says():
    assert accepted([ask("1")], [BAD], [RIGHT]) == []


def test_kept_and_dropped_are_counted_by_what_was_called():
    replies = [Call("dim"), Call("dim"), Call("lock"), BAD, Refusal.UNCLEAR]
    assert kept_and_dropped(replies, [RIGHT, WRONG, RIGHT, WRONG, RIGHT]) == {
        "(unreadable)": {"kept": 0, "dropped": 1},
        "Request unclear": {"kept": 1, "dropped": 0},
        "dim": {"kept": 1, "dropped": 1},
        "lock": {"kept": 1, "dropped": 0},
    }


def test_precision_and_recall_by_hand():
    """Accepted 1 2 3, right by the references 1 2 4: 2 of 3 and 2 of 3."""
    found = precision([RIGHT, RIGHT, RIGHT, WRONG], [RIGHT, RIGHT, WRONG, RIGHT])
    assert found == {"precision": 0.6667, "recall": 0.6667}
    assert precision([WRONG], [WRONG]) == {"precision": None, "recall": None}


def test_labelled_rows_join_after_the_accepted_and_are_never_those_that_were_asked():
    queries = [ask(str(n)) for n in range(6)]
    answers = [Answered(queries[0], Call("dim"), 500), Answered(queries[1], Call("lock"), 700)]
    examples, counts = build(queries, answers, by_reference, POOL, str.split, PROMPT, RftSizes(labelled=3))
    assert [one.id for one in examples] == ["0", "2", "3", "4"]
    assert (counts["answered"], counts["accepted"], counts["labelled"], counts["precision"]) == (2, 1, 3, 1.0)
    assert counts["full_prompt_tokens"] == 600.0 and 0 < counts["compressed_prompt_tokens"] < 20


def test_unlabelled_queries_are_judged_but_never_taken_as_labelled_or_counted_as_wrong():
    """Both accepted, one with a reference that says so: precision 1 of 1. Of the rest only the labelled one joins."""
    bare = [replace(ask(str(n)), answers=()) for n in range(3)]
    queries = [ask("a"), bare[0], bare[1], bare[2], ask("b")]
    answers = [Answered(queries[0], Call("dim"), 5), Answered(queries[1], Call("lock"), 5)]
    every = lambda asked, replies: [RIGHT] * len(asked)  # noqa: E731
    examples, counts = build(queries, answers, every, POOL, str.split, PROMPT, RftSizes(labelled=9))
    assert [one.id for one in examples] == ["a", "0", "b"]
    assert (counts["precision"], counts["recall"], counts["labelled"]) == (1.0, 1.0, 1)


def test_nothing_to_train_on_is_an_error_that_names_the_parameter():
    queries = [ask("0")]
    with pytest.raises(UserError, match=r"rft\.labelled"):
        build(queries, [Answered(queries[0], BAD, 9)], by_reference, POOL, str.split, PROMPT, RftSizes(labelled=0))


def test_the_prototypes_file_is_checked_line_by_line(tmp_path):
    path = tmp_path / "train.jsonl"
    row = {
        "id": "0",
        "candidates": ["dim", "lock"],
        "written": '{"answer":{"name":"dim","arguments":{}}}',
        "prompt_tokens": 9,
    }
    path.write_text(json.dumps(row) + "\n")
    (found,) = read_answers(path, [ask("0")], POOL)
    assert (found.reply, found.prompt_tokens) == (Call("dim"), 9)
    for bad in ({"id": "7"}, {"written": 1}, {"prompt_tokens": None}, {"candidates": ["fly"]}):
        path.write_text(json.dumps(row) + "\n" + json.dumps(row | bad) + "\n")
        with pytest.raises(UserError, match="line 2: no reply"):
            read_answers(path, [ask("0")], POOL)
