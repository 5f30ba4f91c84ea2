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
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.engines_page import draw, tables
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
ROUTES = ("chat/completions", "completions")


@dataclass(frozen=True, slots=True)
class Question:
    """One query in the forms that systems are asked in, and the answer it should get."""

    example: Example
    request: Request
    expected: str


@dataclass(frozen=True, slots=True)
class System:
    """One model in one way of serving it."""

    model: Path
    engine: str | None
    """None: over HTTP"""
    machine: GenerateMachine
    functions: Path
    url: str = ""
    route: str = ROUTES[0]

    @property
    def way(self) -> str:
        """Its name beside the model's."""
        return self.engine or f"HTTP, {self.route}"


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
    cfg, sizes = load("bench", BenchConfig), load_profile("bench", BenchSizes)
    loads = [int(one) for one in _parts(clients)] or [one for one in cfg.clients if one <= sizes.max_clients]
    counts = {one: max(int(least or sizes.requests), 2 * one) for one in loads}
    machine, functions = load_profile("generate", GenerateMachine), dataset / "functions.json"
    if route not in ROUTES:
        raise UserError(f"--route: expected one of {', '.join(ROUTES)}, got {route!r}")
    ways = [*_parts(engines), *([None] if url else [])]
    systems = [
        System(models / name, way, machine, functions, url or "", route) for name in _parts(names) for way in ways
    ]
    if not systems:
        raise UserError("--names, --engines, --url: expected a model, and an engine or a URL at least")
    asked = _questions(models, _parts(names), dataset, machine, sizes.warmup + sum(counts.values()))
    rounds = [
        one
        for repetition in range(int(repetitions))
        for one in _repetition(systems, asked, counts, sizes.warmup, repetition, key_variable)
    ]
    found = {
        "machine": describe() | _engine_versions(systems),
        "batch_size": machine.batch_size,
        "queries": {name: len({question.example.id for question in of}) for name, of in asked.items()},
        "repetitions": int(repetitions),
        "rounds": rounds,
    }
    write_json(out.with_suffix(".json"), found)
    write_text(out.with_suffix(".md"), tables(rounds))
    draw(rounds, out.with_suffix(".svg"))


def _parts(text: str | None) -> list[str]:
    return [one.strip() for one in (text or "").split(",") if one.strip()]


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
    systems: Sequence[System],
    asked: dict[str, list[Question]],
    counts: dict[int, int],
    warmup: int,
    repetition: int,
    key_variable: str | None,
) -> list[dict[str, Any]]:
    """A round of every system at every load."""
    rounds, first = [], warmup
    with _all_running(systems, asked, warmup, key_variable) as running:
        for clients, count in counts.items():
            turn = [(repetition + at) % len(systems) for at in range(len(systems))]
            for at in turn:
                print(f"repetition {repetition + 1}, {clients} clients: {_title(systems[at])}", flush=True)
                measured = running[at].told((clients, first, count))
                rounds.append(
                    {"model": systems[at].model.name, "way": systems[at].way, "clients": clients} | measured
                    | {"repetition": repetition}
                )  # fmt: skip
            first += count
    return rounds


def _title(system: System) -> str:
    return f"{system.model.name}, {system.way}"


class _Running:
    """A system in a process of its own."""

    def __init__(self, system: System, asked: list[Question], warmup: int, key_variable: str | None) -> None:
        self._here, there = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(there, system, asked, warmup, key_variable), daemon=True)
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
        self._process.join(60)


@contextmanager
def _all_running(
    systems: Sequence[System], asked: dict[str, list[Question]], warmup: int, key_variable: str | None
) -> Iterator[list[_Running]]:
    """All systems, loaded one after another and warm."""
    running: list[_Running] = []
    try:
        for system in systems:
            running.append(_Running(system, asked[system.model.name], warmup, key_variable))
            running[-1].heard()
        yield running
    finally:
        for one in running:
            one.stop()


def _serve(said: Connection, system: System, asked: list[Question], warmup: int, key_variable: str | None) -> None:
    """In the system's process: a round each time it is told to, until the other end is closed."""

    def same(question: Question, found: Generation) -> bool:
        return found.text.strip() == question.expected

    try:
        with _opened(system, key_variable) as ask:
            closed_loop(ask, asked, same, 1, warmup)
            said.send("warm")
            while True:
                clients, first, count = said.recv()
                part = [asked[at % len(asked)] for at in range(first, first + count)]
                memory = peak_memory_mb() if system.engine else None
                said.send(closed_loop(ask, part, same, clients, count) | {"peak_memory_mb": memory})
    except EOFError:
        return
    except Exception as error:
        said.send(error)


@contextmanager
def _opened(system: System, key_variable: str | None) -> Iterator[Callable[[Question], Generation]]:
    decode, name = load("decode", DecodeConfig), system.model.name
    if system.engine:
        with get(system.engine, "serve")(system.model, decode, system.machine) as ask:
            yield lambda question: ask(question.request)
        return
    server = Endpoint(system.url, TIMEOUT_S, os.environ.get(key_variable) if key_variable else None)
    if name not in (served := server.models()):
        raise UserError(
            f"--url: the server has no model {name!r}, only {', '.join(served)}; name it so when you serve it"
        )
    if system.route == ROUTES[0]:
        pool = read_functions(system.functions)
        yield lambda question: chat(server, name, question.example, pool)
    else:
        from supertiny.model import checkpoint

        encode = checkpoint.encoder(checkpoint.load_tokenizer(system.model))
        yield lambda question: complete(server, name, _ids(encode, question.request), decode.max_new_tokens)


def _ids(encode: Callable[[str], list[int]], request: Request) -> list[int]:
    return encode(request.prompt.shared) + encode(request.prompt.own)  # apart, as in training


def _engine_versions(systems: Sequence[System]) -> dict[str, str]:
    found = {}
    for package in ("openvino-genai",) if any(one.engine == "openvino" for one in systems) else ():
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    run(main)
