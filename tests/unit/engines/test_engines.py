"""The engine lookup, and the closed loop on an engine that is asked by many at once."""

import threading
import time

import pytest

from supertiny import engines
from supertiny.core.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.core.calls import Function, Parameter, Syntax
from supertiny.core.errors import UserError
from supertiny.core.prompt import Prompt
from supertiny.engines.native.answer import serve
from supertiny.measure.load import BenchSizes, bench, closed_loop
from supertiny.model.answer import Loaded
from supertiny.model.generate import Sampling

DECODE = DecodeConfig(constrained=True, max_new_tokens=6)
MACHINE = GenerateMachine(precision="float32", batch_size=4)
REQUESTS = [
    Request(Prompt("f(x?)\n", f"{'go ' * n}Answer:"), (Function("f", "", {"x": Parameter("integer")}),), Syntax.json)
    for n in range(1, 8)
]


def test_an_unknown_engine_and_an_impossible_verb_are_named():
    with pytest.raises(UserError, match="no engine 'warp'.*native"):
        engines.get("warp", "train")
    with pytest.raises(UserError, match="'native' cannot fly; it can chat, generate, logits, rl, serve, train"):
        engines.get("native", "fly")
    assert engines.get("native", "serve") is serve


def test_served_answers_are_those_of_one_at_a_time(tiny_folder):
    alone = [Loaded(tiny_folder, "float32").answer([request], Sampling(6), 1, True)[0].text for request in REQUESTS]
    expected = dict(zip([request.prompt for request in REQUESTS], alone, strict=True))
    with serve(tiny_folder, DECODE, MACHINE) as ask:
        result = bench(
            ask,
            REQUESTS,
            lambda request, found: found.text == expected[request.prompt],
            [1, 5],
            BenchSizes(requests=7, warmup=1, max_clients={"model": 5}),
        )
    assert list(result["rounds"]) == ["cc1", "cc5"]
    assert [one["requests"] for one in result["rounds"].values()] == [7, 10]
    assert all(one["errors"] == 0 == one["differing"] for one in result["rounds"].values())
    assert result["rounds"]["cc5"]["qps"] > 0
    assert result["peak_memory_mb"] > 50


def test_an_engine_that_fails_is_an_error_for_every_client_and_not_the_end(tiny_folder, monkeypatch):
    monkeypatch.setattr(Loaded, "answer", lambda *_, **__: 1 / 0)
    with serve(tiny_folder, DECODE, MACHINE) as ask:
        found = closed_loop(ask, REQUESTS, lambda *_: True, clients=3, count=9)
    assert (found["requests"], found["errors"], found["p50_ms"]) == (9, 9, None)


def test_the_loop_is_closed_and_every_answer_is_checked():
    """Never more than `clients` in flight, exactly `count` asked, and a differing answer is counted."""
    lock, flying, most = threading.Lock(), 0, 0

    def ask(request):
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        time.sleep(0.002)
        with lock:
            flying -= 1
        return Generation("x", 1, 1, 3)

    seen = []
    found = closed_loop(ask, REQUESTS, lambda request, _: not seen.append(request) and len(seen) % 2 == 0, 4, 21)
    assert most == 4
    assert found["requests"] == len(seen) == 21
    assert found["differing"] == 11
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]


def test_every_verb_of_the_table_is_there():
    """The table is written by hand: what it names, a module or an object in one, has a function of the verb's name."""
    missing = [
        f"{engine}: {verb}"
        for engine, verbs in engines.ENGINES.items()
        for verb in verbs
        if not callable(getattr(engines.home(engine, verb), verb, None))
    ]
    assert missing == []
