"""What was looked at and what was found, a line each, with the remedy where something is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"
    """without it nothing works"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    state: State
    what: str
    said: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.state:<8} {self.what}: {self.said}{f'; {self.remedy}' if self.remedy else ''}"


def ok(what: str, said: str) -> Finding:
    """As it should be."""
    return Finding(State.OK, what, said)


def warning(what: str, said: str, remedy: str) -> Finding:
    """It works, and should be looked at."""
    return Finding(State.WARNING, what, said, remedy)


def missing(what: str, said: str, remedy: str) -> Finding:
    """It does not work without."""
    return Finding(State.MISSING, what, said, remedy)


def in_lines(findings: Iterable[Finding]) -> str:
    """All of them, each a line.

    >>> print(in_lines([ok("python", "3.12"), missing("git", "not found", "install it")]), end="")
    ok       python: 3.12
    missing  git: not found; install it
    """
    return "".join(f"{finding}\n" for finding in findings)
