"""One model's answers, judged once."""

from unittest.mock import patch

import pytest

from supertiny.core.ask import Generation
from supertiny.core.calls import Call, Function
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example
from supertiny.judge.reference import judge
from supertiny.measure.evaluate import evaluate

POOL = {"dim": Function("dim", "Dims"), "lock": Function("lock", "Locks")}
PROMPT = PromptConfig(describe=False, history_turns=1)


def ask(name: str, *tags: str) -> Example:
    return Example(id=name, query="q", candidates=("dim", "lock"), answers=(Call("dim"),), tags=tags)


def always_dim(requests):
    return [Generation('{"name":"dim","arguments":{}}', 10, 8, 4) for _ in requests]


def test_every_answer_is_judged_once_and_its_verdict_serves_rate_and_row():
    splits = {"test": [ask("a"), ask("b")], "ood": [ask("c", "seen"), ask("d", "unseen")]}
    with patch("supertiny.measure.evaluate.judge", side_effect=judge) as judged:
        rates, rows = evaluate(splits, POOL, always_dim, PROMPT, seed=0)
    assert judged.call_count == 4
    assert [rates[name]["n"] for name in ("test", "ood", "ood_seen", "ood_unseen")] == [2, 2, 1, 1]
    assert all(row["correct"] for row in rows) and rates["workload"]["prompt_tokens"] == 10


def test_an_unlabelled_example_is_an_error_that_names_it_before_anything_is_generated():
    def generate(requests):
        pytest.fail("asked the model")

    with pytest.raises(UserError, match=r"'x7'.*answers"):
        evaluate({"test": [Example(id="x7", query="q")], "ood": []}, POOL, generate, PROMPT, seed=0)
