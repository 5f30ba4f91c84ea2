"""Traces come back as they were written, and say who thought them."""

import json

import pytest

from supertiny.core.errors import UserError
from supertiny.core.prompt import Source, Trace
from supertiny.core.records import Example
from supertiny.rl.thoughts import counts, filled, read_traces, write_traces

ROW = {"id": "1", "thought": "t", "answer": "a", "source": "rule"}


def test_what_is_written_is_read(tmp_path):
    traces = [Trace("1", "ä: f", '{"name":"f","arguments":{}}', Source.RULE), Trace("2", "t", "a", Source.MODEL)]
    write_traces(tmp_path / "cot.jsonl", traces)
    assert list(read_traces(tmp_path / "cot.jsonl").values()) == traces
    assert json.loads((tmp_path / "cot.jsonl").read_text().splitlines()[1])["source"] == "model"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "expected the strings"),
        ({**ROW, "thought": None}, "expected the strings"),
        ({**ROW, "more": "x"}, "expected the strings"),
        ({**ROW, "source": "me"}, "'source': 'me'"),
        ({**ROW, "thought": "</think>"}, "holds a tag"),
        (ROW, "twice"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, message):
    path = tmp_path / "cot.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{json.dumps(row)}\n")
    with pytest.raises(UserError, match=f"line 2: .*{message}"):
        read_traces(path)


def test_rules_fill_in_where_the_model_was_wrong():
    """The model thought for b alone; c has nothing, and d was not asked for."""
    rows = [Example(id=name, query="q") for name in "abc"]
    rule_made = {name: Trace(name, "by rule", "{}", Source.RULE) for name in "abd"}
    found = filled(rows, [Trace("b", "two words", "{}", Source.MODEL)], rule_made)
    assert [(one.id, one.source) for one in found] == [("a", Source.RULE), ("b", Source.MODEL)]
    assert counts(3, found) == {"asked": 3, "kept": 1, "rule_made": 1, "words": 2.0}
