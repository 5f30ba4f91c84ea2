"""One system's answers, judged once."""

from unittest.mock import patch

import pytest

from supertiny.core.ask import Generation
from supertiny.core.calls import Call
from supertiny.core.errors import UserError
from supertiny.core.records import Example
from supertiny.judge.reference import judge
from supertiny.measure.evaluate import Replied, labelled, rate


def ask(name: str, *tags: str) -> Example:
    return Example(id=name, query="q", candidates=("dim", "lock"), answers=(Call("dim"),), tags=tags)


DIM = Replied(Call("dim"), Generation('{"name":"dim","arguments":{}}', 10, 8, 4))


def test_every_answer_is_judged_once_and_its_verdict_serves_rate_and_row():
    splits = {"test": [ask("a"), ask("b")], "ood": [ask("c", "seen"), ask("d", "unseen")]}
    with patch("supertiny.measure.evaluate.judge", side_effect=judge) as judged:
        rates, rows = rate(splits, [DIM] * 4, seed=0)
    assert judged.call_count == 4
    assert [rates[name]["n"] for name in ("test", "ood", "ood_seen", "ood_unseen")] == [2, 2, 1, 1]
    assert all(row["correct"] for row in rows) and rates["workload"]["prompt_tokens"] == 10


def test_an_unlabelled_example_is_an_error_that_names_it_before_anything_is_asked():
    with pytest.raises(UserError, match=r"'x7'.*answers"):
        labelled({"test": [Example(id="x7", query="q")], "ood": []})
