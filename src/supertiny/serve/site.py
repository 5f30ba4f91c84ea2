"""What the service answers with, and one query's way through it, every step timed."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from supertiny.core.calls import Answer, Malformed, Pool
from supertiny.core.records import Example
from supertiny.data.dataset import Knowledge
from supertiny.model.ask import Generation, Request
from supertiny.online.path import Ask, Found, answered, offered, to_request, with_knowledge
from supertiny.prompt.compressed import PromptConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One function pool, and the models that may be asked about it."""

    pool: Pool
    knowledge: Knowledge
    prompt: PromptConfig
    find: Callable[[Example], Found]
    """thread-safe"""
    models: Mapping[str, Ask]
    """thread-safe; the first is asked where a request names none"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One answer, and how it came about."""

    example: Example
    found: Found | None
    """None where the request brought its candidates"""
    request: Request
    generation: Generation
    reply: Answer | Malformed
    pool: Pool
    """the functions that the reply is about"""
    seconds: dict[str, float]
    """of each step"""


def serve(site: Site, model: str, example: Example, tools: Pool | None = None) -> Served:
    """The answer of `model` to `example`; with `tools` those are its candidates, else what is found in the pool."""
    seconds: dict[str, float] = {}
    with _timed(seconds, "knowledge"):
        example = with_knowledge(example, site.knowledge)
    found, pool = None, tools or site.pool
    if tools is None:
        with _timed(seconds, "retrieval"):
            found = site.find(example)
        example = offered(example, found)
    request = to_request(example, pool, site.prompt)
    with _timed(seconds, "model"):
        generation, reply = answered(request, site.models[model])
    return Served(
        example=example, found=found, request=request, generation=generation, reply=reply, pool=pool, seconds=seconds
    )


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - started
