"""The systems that are asked, each of a kind: a language model made here, the prototype, the traditional system.

A system is whoever answers a query. It is asked in bulk (stage evaluate) and says what it is made of; as a served one
it is asked one query at a time by many clients (stage bench), by whatever engine the profile chooses for that. The two
stand apart, so that another engine for serving is no reason to evaluate anew. Stages know no kind: they look it up
here.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from supertiny.core.ask import Generation
from supertiny.core.calls import Pool
from supertiny.core.config import PARAMS
from supertiny.core.errors import UserError
from supertiny.core.records import Example
from supertiny.measure.evaluate import Replied

KINDS = ("model", "prototype", "traditional")
"""of an entry of `systems` in params.yaml: modules of this package with `open_system`, and entries of `served.KINDS`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the parts of a system lie."""

    model: Path
    encoder: Path
    """for what a query resembles; a language model made here needs none"""
    data: Path
    """the dataset's folder: expert.jsonl"""
    pool: Pool


class System(Protocol):
    """Whoever answers queries."""

    def answer(self, examples: Sequence[Example]) -> list[Replied]:
        """The answer to each example, in the order given."""

    def size(self) -> dict[str, Any]:
        """Shapes, parameters and bytes of what it is made of."""


class Served(Protocol):
    """The same for many clients at once."""

    engine: str
    """who computes"""

    def asked(self, examples: Sequence[Example]) -> AbstractContextManager[Callable[[int], Generation]]:
        """Give a thread-safe `ask(number)`: the answer to examples[number]."""


def open_system(kind: str, places: Places) -> System:
    """The system of this kind that is made of what lies in `places`, as parameters and profile say."""
    system: System = import_module(module_of(kind)).open_system(places)
    return system


def module_of(kind: str) -> str:
    """The module of a kind: nothing of one is imported before it is asked for."""
    return f"{__name__}.{known(kind)}"


def known(kind: str) -> str:
    """`kind`, if it is one."""
    if kind not in KINDS:
        raise UserError(f"{PARAMS}: systems: kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    return kind
