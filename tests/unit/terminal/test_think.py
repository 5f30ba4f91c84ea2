"""Every step is shown, whatever the model writes."""

import pytest

from supertiny.core.calls import Function, Parameter
from supertiny.core.records import Example
from supertiny.model.ask import Generation
from supertiny.prompt.compressed import PromptConfig
from supertiny.retrieve.retrievers import Retriever
from supertiny.terminal.think import Mind, think

POOL = {"dim": Function("dim", "Dims", {"level": Parameter("integer")}, "light"), "lock": Function("lock", "Locks")}


class First(Retriever):
    extensible = True

    def scored(self, examples, k=None):
        return [[("dim", 0.75), ("lock", 0.5)][:k] for _ in examples]

    def add(self, function):
        raise NotImplementedError


def steps(written, k=2):
    mind = Mind(
        pool=POOL, knowledge=[("the troll", "the troll: a lamp")], retriever=First(), num_candidates=k,
        prompt=PromptConfig(describe=False, history_turns=1),
        generate=lambda requests: [Generation(written, 40, 40, 9) for _ in requests],
    )  # fmt: skip
    return list(think(Example(id="1", query="dim the troll to 5", context={"room": "hall"}), mind))


def test_a_call_is_shown_from_the_query_to_the_legacy_frame():
    found = steps(' {"name":"dim","arguments":{"level":5}}')
    assert [step for step, _ in found] == [
        "query", "context", "knowledge", "candidates", "prompt", "tokens", "answer", "call", "legacy frame",
    ]  # fmt: skip
    said = dict(found)
    assert said["knowledge"] == "the troll: a lamp" and "0.750  dim" in said["candidates"]
    assert "Note: the troll: a lamp" in said["prompt"] and said["tokens"].startswith("40 in the prompt, 9 written")
    assert said["legacy frame"] == "domain=light, intent=dim, level=5"


@pytest.mark.parametrize("written", ["", '{"name":"lock","arguments":{}}', "turn it on"])
def test_what_is_no_call_of_a_candidate_ends_with_the_reason(written):
    assert steps(written, k=1)[-1][0] == "call" and steps(written, k=1)[-1][1].startswith("none: ")
