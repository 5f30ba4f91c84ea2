"""Queries a second of every model in every way of serving it, measured in turns (paper 4.1-4.2, Table 4, Figure 5).

    python -m benchmarks.engines --models data/models --dataset data/dataset --names sft,tiny_kd,p30 \
        --engines native,openvino --out benchmarks/engines
    python -m benchmarks.engines ... --names tiny_kd --url http://gpu1:8000/v1
    python -m benchmarks.engines ... --names tiny_kd --url http://gpu1:30000/v1 --route completions

A system is a model in an engine, or at a URL that serves it under its own name: our service by chat completions, or the
bare model (SGLang, vLLM, ...) by completions. Each is loaded in a process of its own, which waits while another is
asked. A repetition goes through the loads (cc) and at each load through the systems, every time from another one on:
whatever slows the machine for a while slows all of them, and ratios hold. All requests of a repetition differ, as far
as there are queries, and the next repetition has new processes: a prompt seen twice would be in a prefix cache.

An answer differs when it is not the native engine's to the same query, unhurried. `out`.json holds every round,
`out`.md the tables: medians over the repetitions, with the least and the most; `out`.svg the picture.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.engines_page import draw, tables
from supertiny.commands.places import model_folder
from supertiny.core.config import load, load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import write_json, write_text
from supertiny.core.machine import describe
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.core.stage import run
from supertiny.engines import get
from supertiny.measure.load import BenchConfig, BenchSizes, closed_loop, peak_memory_mb
from supertiny.measure.remote import Endpoint, chat, complete
from supertiny.measure.workload import requests
from supertiny.model.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.prompt.compressed import PromptConfig

SPAWN = multiprocessing.get_context("spawn")
TIMEOUT_S = 600.0
"""that one answer over HTTP may take"""
STOP_S = 60.0
"""that a system may take to end"""
ROUTES = ("chat/completions", "completions")


@dataclass(frozen=True, slots=True)
class Question:
    """One query in the forms that systems are asked in, and the answer it should get."""

    example: Example
    request: Request
    expected: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server that speaks the OpenAI protocol."""

    url: str
    route: str
    key_variable: str | None

    def opened(self) -> Endpoint:
        """A client of it."""
        return Endpoint(self.url, TIMEOUT_S, os.environ.get(self.key_variable) if self.key_variable else None)

    def must_serve(self, model: str) -> None:
        """Fail if it is away or has no such model."""
        try:
            served = self.opened().models()
        except (OSError, HTTPException) as error:
            raise UserError(f"--url: no server answers at {self.url}: {error}") from None
        if model not in served:
            raise UserError(
                f"--url: the server has no model {model!r}, only {', '.join(served)}; serve it by that name"
            )


@dataclass(frozen=True, slots=True)
class System:
    """One model in one way of serving it."""

    model: Path
    way: str | Server
    """an engine, or a server that has the model under its folder's name"""
    machine: GenerateMachine
    functions: Path

    @property
    def title(self) -> tuple[str, str]:
        """Model, and how it is served: without an address, which is nobody else's business."""
        return self.model.name, f"HTTP, {self.way.route}" if isinstance(self.way, Server) else self.way


def main(
    models: Path,
    dataset: Path,
    out: Path,
    names: str = "sft,tiny_kd,p30",
    engines: str = "native,openvino",
    url: str | None = None,
    route: str = ROUTES[0],
    key_variable: str | None = None,
    clients: str | None = None,
    least: str | None = None,
    repetitions: str = "3",
) -> None:
    """Measure `names`, folders of `models`, in `engines` and at `url`; write `out`.json, `out`.md and `out`.svg.

    `clients` and `least` (requests of a round at least) are those of `bench` in params.yaml and the profile unless they
    are given; `key_variable` is the environment variable with the server's API key.
    """
    if route not in ROUTES:
        raise UserError(f"--route: expected one of {', '.join(ROUTES)}, got {route!r}")
    cfg, sizes = load("bench", BenchConfig), load_profile("bench", BenchSizes)
    loads = _counts(clients, "--clients") or [one for one in cfg.clients if one <= sizes.max_clients]
    fewest, times = (_counts(least, "--least") or [sizes.requests])[0], _counts(repetitions, "--repetitions")[0]
    counts = {one: max(fewest, 2 * one) for one in loads}
    machine = load_profile("generate", GenerateMachine)
    server = Server(url, route, key_variable) if url else None
    systems = [
        System(model_folder(models, name, "--names"), way, machine, dataset / "functions.json")
        for name in _parts(names)
        for way in (*_parts(engines), *([server] if server else []))
    ]
    _must_be_there(systems)
    asked = _questions(models, _parts(names), dataset, machine, sizes.warmup + sum(counts.values()))
    rounds = [one for at in range(times) for one in _repetition(systems, asked, counts, sizes.warmup, at)]
    found = {
        "machine": describe() | _engine_versions(systems),
        "batch_size": machine.batch_size,
        "queries": {name: len(of) for name, of in asked.items()},
        "repetitions": times,
        "rounds": rounds,
    }
    write_json(out.with_suffix(".json"), found)
    write_text(out.with_suffix(".md"), tables(rounds))
    draw(rounds, out.with_suffix(".svg"))


def _parts(text: str | None) -> list[str]:
    return [one.strip() for one in (text or "").split(",") if one.strip()]


def _counts(text: str | None, option: str) -> list[int]:
    parts = _parts(text)
    if not all(one.isdecimal() and int(one) for one in parts):
        raise UserError(f"{option}: expected numbers above 0, got {text!r}")
    return [int(one) for one in parts]


def _must_be_there(systems: Sequence[System]) -> None:
    """An engine or a server that is not there is an error before anything is loaded."""
    if not systems:
        raise UserError("--names, --engines, --url: expected a model, and an engine or a URL at least")
    for system in systems:
        if isinstance(system.way, Server):
            system.way.must_serve(system.model.name)
        else:
            get(system.way, "serve")


def _questions(
    models: Path, names: Sequence[str], dataset: Path, machine: GenerateMachine, count: int
) -> dict[str, list[Question]]:
    """The first `count` test queries, or all of them, with each model's own answers."""
    pool = read_functions(dataset / "functions.json")
    examples = read_examples(dataset / "test.jsonl", pool)[:count]
    asked = requests(examples, pool, load("prompt", PromptConfig))
    found = {}
    for name in names:
        with ProcessPoolExecutor(1, mp_context=SPAWN) as alone:  # its memory is nobody's afterwards
            texts = alone.submit(_written, models / name, asked, machine).result()
        found[name] = [Question(*one) for one in zip(examples, asked, texts, strict=True)]
    return found


def _written(model: Path, asked: Sequence[Request], machine: GenerateMachine) -> list[str]:
    generate = get("native", "generate")
    return [one.text.strip() for one in generate(model, asked, load("decode", DecodeConfig), machine)]


def _repetition(
    systems: Sequence[System], asked: dict[str, list[Question]], counts: dict[int, int], warmup: int, repetition: int
) -> list[dict[str, Any]]:
    """A round of every system at every load."""
    rounds, first = [], warmup
    with _all_running(systems, asked, warmup) as running:
        for clients, count in counts.items():
            for at in ((repetition + place) % len(systems) for place in range(len(systems))):
                model, way = systems[at].title
                print(f"repetition {repetition + 1}, {clients} clients: {model}, {way}", flush=True)
                who = {"repetition": repetition, "clients": clients, "model": model, "way": way}
                rounds.append(who | running[at].told((clients, first, count)))
            first += count
    return rounds


class _Running:
    """A system in a process of its own."""

    def __init__(self, system: System, asked: list[Question], warmup: int) -> None:
        self._here, there = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(there, system, asked, warmup), daemon=True)
        self._process.start()
        there.close()

    def told(self, what: Any) -> Any:
        """What the process answers; its error is raised here."""
        self._here.send(what)
        return self.heard()

    def heard(self) -> Any:
        """The next thing that it says."""
        try:
            said = self._here.recv()
        except EOFError:
            raise UserError("a system's process ended; it says above why") from None
        if isinstance(said, Exception):
            raise said
        return said

    def stop(self) -> None:
        """Let it go."""
        self._here.close()
        self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.terminate()


@contextmanager
def _all_running(systems: Sequence[System], asked: dict[str, list[Question]], warmup: int) -> Iterator[list[_Running]]:
    """All systems, loaded one after another and warm."""
    running: list[_Running] = []
    try:
        for system in systems:
            running.append(_Running(system, asked[system.model.name], warmup))
            running[-1].heard()
        yield running
    finally:
        for one in running:
            one.stop()


def _serve(said: Connection, system: System, asked: list[Question], warmup: int) -> None:
    """In the system's process: a round each time it is told to, until the other end is closed."""

    def same(question: Question, found: Generation) -> bool:
        return found.text.strip() == question.expected

    try:
        with _opened(system) as ask:
            closed_loop(ask, asked, same, 1, warmup)
            said.send("warm")
            while True:
                clients, first, count = said.recv()
                part = [asked[at % len(asked)] for at in range(first, first + count)]
                measured = closed_loop(ask, part, same, clients, count)
                own = not isinstance(system.way, Server)
                said.send(measured | {"peak_memory_mb": peak_memory_mb() if own else None})
    except EOFError:
        return
    except Exception as error:
        said.send(error)


@contextmanager
def _opened(system: System) -> Iterator[Callable[[Question], Generation]]:
    decode, name = load("decode", DecodeConfig), system.model.name
    if not isinstance(system.way, Server):
        with get(system.way, "serve")(system.model, decode, system.machine) as ask:
            yield lambda question: ask(question.request)
        return
    server = system.way.opened()
    if system.way.route == ROUTES[0]:
        pool = read_functions(system.functions)
        yield lambda question: chat(server, name, question.example, pool)
    else:
        from supertiny.model import checkpoint

        encode = checkpoint.encoder(checkpoint.load_tokenizer(system.model))
        yield lambda question: complete(server, name, _ids(encode, question.request), decode.max_new_tokens)


def _ids(encode: Callable[[str], list[int]], request: Request) -> list[int]:
    return encode(request.prompt.shared) + encode(request.prompt.own)  # apart, as in training


def _engine_versions(systems: Sequence[System]) -> dict[str, str]:
    return {"openvino-genai": version("openvino-genai")} if any(one.way == "openvino" for one in systems) else {}


if __name__ == "__main__":
    run(main)
