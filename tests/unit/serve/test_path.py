"""Every step is shown, whatever the model writes."""

import numpy as np
import pytest

from supertiny.core.ask import Generation
from supertiny.core.calls import Function, Parameter, Syntax
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example
from supertiny.retrieval.index import FunctionIndex
from supertiny.retrieval.retrievers import EmbeddingRetriever, Retriever
from supertiny.serve.path import Setup, steps

POOL = {"dim": Function("dim", "Dims", {"level": Parameter("integer")}, "light"), "lock": Function("lock", "Locks")}


class First(Retriever):
    extensible = True

    def scored(self, examples, k=None):
        return [[("dim", 0.75), ("lock", 0.5)][:k] for _ in examples]

    def add(self, function):
        raise NotImplementedError


def shown(written, k=2, retriever=None):
    setup = Setup(
        pool=POOL, knowledge=[("the troll", "the troll: a lamp")], retriever=retriever or First(), num_candidates=k,
        prompt=PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=1, answer=Syntax.json),
        ask=lambda request: Generation(written, 40, 40, 9),
    )  # fmt: skip
    return list(steps(Example(id="1", query="dim the troll to 5", context={"room": "hall"}), setup))


def test_a_call_is_shown_from_the_query_to_the_legacy_frame():
    found = shown(' {"name":"dim","arguments":{"level":5}}')
    assert [step for step, _ in found] == [
        "query", "context", "knowledge", "candidates", "prompt", "tokens", "answer", "call", "legacy frame",
    ]  # fmt: skip
    said = dict(found)
    assert said["knowledge"] == "the troll: a lamp" and "0.750  dim" in said["candidates"]
    assert "Note: the troll: a lamp" in said["prompt"] and said["tokens"].startswith("40 in the prompt, 9 written")
    assert said["legacy frame"] == "domain=light, intent=dim, level=5"


@pytest.mark.parametrize("written", ["", '{"name":"lock","arguments":{}}', "turn it on"])
def test_what_is_no_call_of_a_candidate_ends_with_the_reason(written):
    assert shown(written, k=1)[-1][0] == "call" and shown(written, k=1)[-1][1].startswith("none: ")


def test_what_is_searched_for_is_written_once_after_the_lookup_and_shown():
    asked = []

    def describe(examples):
        asked.extend(examples)
        return ["Locks" for _ in examples]

    def embed(texts):
        return np.array([[1, 0] if "ocks" in text else [0, 1] for text in texts], dtype=np.float32)

    retriever = EmbeddingRetriever(FunctionIndex(embed, POOL.values(), "description"), describe)
    found = shown("?", retriever=retriever)
    assert [step for step, _ in found][2:5] == ["knowledge", "searched for", "candidates"]
    said = dict(found)
    assert said["searched for"] == "Locks" and said["candidates"].splitlines() == ["  1.000  lock", "  0.000  dim"]
    assert [one.knowledge for one in asked] == [("the troll: a lamp",)]
