"""Queries a second of every model in every way of serving it, measured in turns (paper 4.1-4.2, Table 4, Figure 5).

    python -m benchmarks.engines --models data/models --dataset data/dataset --names sft,tiny_kd,p30,baseline \
        --engines native,openvino --out benchmarks/engines
    python -m benchmarks.engines ... --names tiny_kd --url http://gpu1:8000/v1
    python -m benchmarks.engines ... --names tiny_kd --url http://gpu1:30000/v1 --route completions

A system is a model in an engine, or at a URL that serves it under its own name: our service by chat completions, or the
bare model (SGLang, vLLM, ...) by completions. The traditional system is asked from query to frame, through both of its
models. Each system is loaded in a process of its own, which waits while another is asked. A repetition goes through the
loads (cc) and at each load through the systems, every time from another one on: whatever slows the machine for a while
slows all of them, and ratios hold. All requests of a repetition differ, as far as there are queries, and the next
repetition has new processes: a prompt seen twice would be in a prefix cache.

An answer differs when it is not the native engine's to the same query, unhurried. `out`.json holds every round, and why
requests failed; `out`.md the tables: medians over the repetitions, with the least and the most; `out`.svg the picture.
Response times are those of a closed loop where clients send many requests each; of one each (`--each 1`), of a burst.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.engines_page import draw, tables
from benchmarks.engines_systems import ROUTES, SPAWN, Question, Server, System, questions, systems
from supertiny.core.ask import GenerateMachine, Generation
from supertiny.core.config import load, load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import write_json, write_text
from supertiny.core.stage import run
from supertiny.measure.load import BenchConfig, BenchSizes, closed_loop, machine_summary, peak_memory_mb
from supertiny.measure.systems import MODEL

FAULT_CHARS = 300
"""of an error's text that are kept"""
STOP_S = 60.0
"""that a system may take to end"""


def main(
    models: Path,
    dataset: Path,
    out: Path,
    names: str = "sft,tiny_kd,p30,baseline",
    engines: str = "native,openvino",
    url: str | None = None,
    route: str = ROUTES[0],
    key_variable: str | None = None,
    clients: str | None = None,
    least: str | None = None,
    each: str = "2",
    repetitions: str = "3",
    results: Path | None = None,
) -> None:
    """Measure `names`, folders of `models`, in `engines` and at `url`; write `out`.json, `out`.md and `out`.svg.

    `clients`, and `least`, the requests of a round at least, are those of `bench` in params.yaml and the profile unless
    they are given; every client sends `each` at least. `key_variable` is the environment variable with the server's API
    key. With `results` the answers are checked against those that stage evaluate left there.
    """
    cfg, sizes = load("bench", BenchConfig), load_profile("sizes.bench", BenchSizes)
    loads = _counts(clients, "--clients") or [one for one in cfg.clients if one <= sizes.max_clients[MODEL]]
    fewest, times = _count(least or str(sizes.requests), "--least"), _count(repetitions, "--repetitions")
    counts = {one: max(fewest, _count(each, "--each") * one) for one in loads}
    if route not in ROUTES:
        raise UserError(f"--route: expected one of {', '.join(ROUTES)}, got {route!r}")
    server = Server(url, route, key_variable) if url else None
    compared = systems(models, _parts(names), _parts(engines), server, dataset / "functions.json")
    folders = list(dict.fromkeys(one.model for one in compared))
    asked = questions(folders, dataset, results, sizes.warmup + sum(counts.values()))
    rounds = [one for at in range(times) for one in _repetition(compared, asked, counts, sizes.warmup, at)]
    found = {
        "machine": machine_summary() | _engine_versions(compared),
        "batch_size": load_profile("generate", GenerateMachine).batch_size,
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


def _count(text: str, option: str) -> int:
    found = _counts(text, option)
    if len(found) != 1:
        raise UserError(f"{option}: expected one number, got {text!r}")
    return found[0]


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
        with system.opened() as ask:
            closed_loop(ask, asked, same, 1, warmup)
            said.send("warm")
            while True:
                clients, first, count = said.recv()
                part = [asked[at % len(asked)] for at in range(first, first + count)]
                before, faults = time.process_time(), Counter[str]()
                measured = closed_loop(_counted(ask, faults), part, same, clients, count)
                cpu_s, own = time.process_time() - before, not isinstance(system.way, Server)
                taken = {"peak_memory_mb": peak_memory_mb(), "cpu_s_a_request": round(cpu_s / count, 4)}
                said.send(measured | {"faults": faults} | (taken if own else dict.fromkeys(taken)))
    except EOFError:
        return
    except Exception as error:
        said.send(error)


def _counted(ask: Callable[[Question], Generation], faults: Counter[str]) -> Callable[[Question], Generation]:
    """`ask`, which counts what it fails by."""

    def asked(question: Question) -> Generation:
        try:
            return ask(question)
        except Exception as error:
            faults[f"{type(error).__name__}: {error}"[:FAULT_CHARS]] += 1
            raise

    return asked


def _engine_versions(systems: Sequence[System]) -> dict[str, str]:
    return {"openvino-genai": version("openvino-genai")} if any(one.way == "openvino" for one in systems) else {}


if __name__ == "__main__":
    run(main)
