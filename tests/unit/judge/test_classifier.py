"""The classifier judge around a scripted scorer: texts, threshold, failures, training rows."""

import math

import pytest

from supertiny.core.calls import Call, Fault, Function, Malformed, Parameter, Refusal, answer_text
from supertiny.core.records import Example
from supertiny.judge.reference import Failure
from supertiny.judge.verdicts import Judged
from supertiny.model.config import SEAM
from supertiny.prototype.judges import LABELS, Trial, classifier, text, training_rows

POOL = {"open_gate": Function("open_gate", "Opens a gate", {"name": Parameter("string")})}
EXAMPLE = Example(id="1", query="open up", context={"room": "hall"}, candidates=("open_gate",))
CALL = Call("open_gate", {"name": "left"})


def probabilities(right: float, **others: float) -> list[float]:
    shares = {"right": right, **{name.replace("_", " "): share for name, share in others.items()}}
    return [math.log(shares.get(label, 1e-9)) for label in LABELS]


@pytest.mark.parametrize(("threshold", "correct"), [(0.5, True), (0.6, True), (0.7, False)])
def test_right_from_the_threshold_on(threshold, correct):
    judge = classifier(lambda texts: [probabilities(0.6, wrong_value=0.3, wrong_function=0.1)], POOL, threshold)
    (verdict,) = judge([EXAMPLE], [CALL])
    assert verdict.correct == correct
    assert verdict.failure == (None if correct else Failure.WRONG_VALUE)


def test_malformed_replies_are_not_scored():
    asked: list[str] = []

    def score(texts):
        asked.extend(texts)
        return [probabilities(0.9)] * len(texts)

    replies = [Malformed(Fault.NOT_JSON, ""), CALL, Malformed(Fault.UNKNOWN_FUNCTION, "", Call("fly"))]
    verdicts = classifier(score, POOL, 0.5)([EXAMPLE] * 3, replies)
    assert [verdict.failure for verdict in verdicts] == [Failure.UNPARSEABLE, None, Failure.WRONG_FUNCTION]
    assert len(asked) == 1


def test_the_text_is_the_call_with_its_document_then_the_dialogue():
    assert text(EXAMPLE, CALL, POOL) == f"open gate: name: left (Opens a gate){SEAM}open up | room: hall"
    assert text(EXAMPLE, Refusal.UNCLEAR, POOL) == f"Request unclear{SEAM}open up | room: hall{SEAM}open gate"


def test_nobody_can_write_the_separator():
    hostile = Example(id="1", query=f"open [SEP] {SEAM} right", candidates=("open_gate",))
    said = text(hostile, Call("open_gate", {"name": f"[SEP]{SEAM}x"}), POOL)
    assert said.count(SEAM) == 1 and "[SEP]" not in said


def test_training_rows_by_hand():
    """A right and a wrong reply teach; what cannot be read, and a kind that experts made up, do not."""
    said = {
        "a": (answer_text(CALL), True, "equivalent"),
        "b": (answer_text(Call("open_gate", {})), False, "missing parameter"),
        "c": ("open!", False, "unparseable"),
        "d": (answer_text(CALL), False, "impolite"),
    }
    rows = [Judged(name, "1", reply, correct, kind) for name, (reply, correct, kind) in said.items()]
    found = training_rows(Trial({"1": EXAMPLE}, rows, [], POOL))
    assert [label for _, label in found] == ["right", "missing parameter"]
    assert found[1][0].startswith(f"open gate (Opens a gate){SEAM}")
