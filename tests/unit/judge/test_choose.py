"""The judge that is asked for is built, and nothing else is opened."""

import json

import pytest

from supertiny.core.ask import Generation
from supertiny.core.calls import Call, Function
from supertiny.core.records import Example
from supertiny.prototype.config import JUDGES
from supertiny.prototype.judges import LABELS, choose
from tests.unit.judge.conftest import judging

POOL = {"lock": Function("lock", "Locks a door")}
WRONG = json.dumps({"reasoning": "another door", "verdict": "wrong value"})


@pytest.mark.parametrize("kind", JUDGES)
def test_each_kind_opens_only_what_it_asks(kind):
    """The reply is right by the reference; the scripted classifier and the scripted model say a value is wrong."""
    opened = []

    def label():
        opened.append("classifier")
        return lambda texts: [[0.0 if name == "wrong value" else -9.0 for name in LABELS] for _ in texts]

    def chat():
        opened.append("llm")
        return lambda chats, cfg, progress: [Generation(WRONG, cfg.max_new_tokens, 1, 1) for _ in chats]

    judge = choose(judging(kind=kind, calibrate=[kind]), POOL, label, chat)
    assert opened == ([] if kind == "reference" else [kind])
    example = Example(id="1", query="lock up", candidates=("lock",), answers=(Call("lock"),))
    (verdict,) = judge([example], [Call("lock")])
    assert (verdict.correct, verdict.failure) == ((True, None) if kind == "reference" else (False, "wrong value"))
