"""Queries a second and response times in a closed loop (paper 4.1, Table 4): each client asks, waits, asks again."""

import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from supertiny.core.ask import Generation
from supertiny.core.config import require, require_positive


def machine_summary() -> dict[str, str | int]:
    """The machine and the versions behind a timing."""
    gpu = _said(sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")), "Model")
    return {
        "cpu": _said([Path("/proc/cpuinfo")], "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 0,
        **({"gpu": gpu} if gpu else {}),
        "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 0),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "transformers", "xgrammar")},
    }


def _said(files: Sequence[Path], name: str) -> str | None:
    """What the first line `name: value` of the files says, if there is one."""
    for line in (line for file in files if file.is_file() for line in file.read_text().splitlines()):
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return None


Asked = TypeVar("Asked")
"""what one request is: a prompt for a language model, an example for the traditional system"""
Ask = Callable[[Asked], Generation]
Check = Callable[[Asked, Generation], bool]
"""whether an answer is the one this system gave when it was evaluated"""


@dataclass(kw_only=True, slots=True)
class BenchConfig:
    """Section `bench` of params.yaml."""

    clients: list[int]
    """concurrent clients of each round (cc)"""

    def __post_init__(self) -> None:
        require(bool(self.clients) and min(self.clients) > 0, f"clients: expected counts above 0, got {self.clients}")


@dataclass(kw_only=True, slots=True)
class BenchSizes:
    """Section `sizes.bench` of the profile."""

    requests: int
    """requests of a round at least; every client sends two at least"""
    warmup: int
    """requests before the first round that do not count"""
    max_clients: dict[str, int]
    """kind of system -> rounds with more clients are left out"""

    def __post_init__(self) -> None:
        require_positive(self, "requests")
        for kind, most in self.max_clients.items():
            require(most > 0, f"max_clients.{kind}: expected more than 0, got {most}")
        require(self.warmup >= 0, f"warmup: expected 0 or more, got {self.warmup}")


def bench(
    ask: Ask[Asked], requests: Sequence[Asked], check: Check[Asked], clients: Sequence[int], sizes: BenchSizes
) -> dict[str, Any]:
    """One round for every number of `clients`, on the same requests in the same order, each answer checked."""
    if sizes.warmup:
        closed_loop(ask, requests, check, 1, sizes.warmup)
    rounds = {}
    for one in tqdm(clients, desc="bench", unit="round"):
        rounds[f"cc{one}"] = closed_loop(ask, requests, check, one, max(sizes.requests, 2 * one))
    return {"rounds": rounds, "peak_memory_mb": peak_memory_mb()}


def closed_loop(
    ask: Ask[Asked], requests: Sequence[Asked], check: Check[Asked], clients: int, count: int
) -> dict[str, Any]:
    """`count` requests from `clients` clients, each with one in flight: QPS, response times in ms, errors."""
    times_ms: list[float] = []
    tokens = errors = differing = 0
    numbers = iter(range(count))
    lock = Lock()

    def client() -> None:
        nonlocal tokens, errors, differing
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            request = requests[number % len(requests)]
            started = time.perf_counter()
            try:
                generation = ask(request)
            except Exception:  # a failed request is a result, and the others go on
                with lock:
                    errors += 1
                continue
            elapsed = (time.perf_counter() - started) * 1000
            same = check(request, generation)
            with lock:
                times_ms.append(elapsed)
                tokens += generation.new_tokens
                differing += not same

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(client) for _ in range(clients)]:
            done.result()
    return _round(times_ms, tokens, errors, differing, time.perf_counter() - started)


def _round(times_ms: list[float], tokens: int, errors: int, differing: int, seconds: float) -> dict[str, Any]:
    p50, p95, p99 = (round(float(np.quantile(times_ms, q)), 1) if times_ms else None for q in (0.5, 0.95, 0.99))
    return {
        "requests": len(times_ms) + errors,
        "qps": round(len(times_ms) / seconds, 3),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "tokens_per_s": round(tokens / seconds, 1),
        "errors": errors,
        "differing": differing,
    }


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
