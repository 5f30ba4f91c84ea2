"""Every step is shown, whatever the model writes."""

from dataclasses import replace

import numpy as np
import pytest

from supertiny.core.ask import Generation
from supertiny.core.calls import Function, Parameter, Syntax
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig, shared_part
from supertiny.core.records import Example
from supertiny.retrieval.index import FunctionIndex
from supertiny.retrieval.retrievers import EmbeddingRetriever, Retriever
from supertiny.serve.path import Found, Setup, Site, find, offered, serve, steps

POOL = {"dim": Function("dim", "Dims", {"level": Parameter("integer")}, "light"), "lock": Function("lock", "Locks")}


class First(Retriever):
    extensible = True

    def scored(self, examples, k=None):
        return [[("dim", 0.75), ("lock", 0.5)][:k] for _ in examples]

    def add(self, function):
        raise NotImplementedError


SETUP = Setup(
    pool=POOL,
    knowledge=[("the troll", "the troll: a lamp")],
    find=lambda one: find([one], First(), 2)[0],
    prompt=PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=1, answer=Syntax.json),
    ask=lambda request: Generation("?", 40, 40, 9),
)


def shown(written, k=2, retriever=None):
    setup = replace(
        SETUP,
        find=lambda one: find([one], retriever or First(), k)[0],
        ask=lambda request: Generation(written, 40, 40, 9),
    )
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


def test_without_a_retriever_the_whole_pool_is_offered_in_its_order():
    setup = replace(SETUP, find=None)
    said = dict(steps(Example(id="1", query="dim it"), setup))
    assert said["candidates"] == "the whole pool, 2 functions"
    assert said["prompt"].startswith("Functions:\ndim(level?)\nlock()\n")
    chosen = offered(Example(id="1", query="dim it"), POOL, Found([("lock", 0.9), ("dim", 0.1)], None))
    assert chosen.candidates == ("dim", "lock"), "a prefix that hangs on no score"


def test_tools_that_are_the_pool_stand_in_its_order_and_too_many_are_chosen_from_or_refused():
    asked = []

    def ask(request):
        asked.append(request.prompt.shared)
        return Generation("Request unclear", 40, 30, 3)

    site = Site(
        pool=POOL, knowledge=[], prompt=SETUP.prompt, tokens=len, find=None, among=None, models={"m": ask}
    )  # fmt: skip
    one = Example(id="1", query="dim it")
    serve(site, "m", one)
    serve(site, "m", one, dict(reversed(POOL.items())))
    other = {"stop": Function("stop", "Stops"), "go": Function("go", "Goes")}
    serve(site, "m", one, other)
    assert asked == [*[shared_part(POOL.values(), site.prompt)] * 2, shared_part(other.values(), site.prompt)]
    narrow = replace(site, prompt=replace(site.prompt, max_pool_tokens=20))
    with pytest.raises(UserError, match=r"tools: a list of 2 functions has 23 tokens.*max_pool_tokens is 20"):
        serve(narrow, "m", one, other)
    choosing = replace(narrow, among=lambda example, tools: Found([("go", 1.0)], None))
    assert serve(choosing, "m", one, other).example.candidates == ("go",)
