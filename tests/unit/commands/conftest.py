"""A user's own files: five functions of a coffee machine, queries that nothing is wrong with."""

import json
from pathlib import Path
from typing import Any

import pytest

from supertiny.core.calls import Function, Parameter
from supertiny.core.records import write_functions

NAMES = ("brew", "grind", "clean", "heat")
UNSEEN = "order"
SPOKEN = ("please {} the machine {}", "could you {} it {}", "{} now {}")


def row(number: int, name: str | None, **more: Any) -> dict[str, Any]:
    """A query with a sentence of its own, labelled unless `name` is None."""
    answers = [{"name": name, "arguments": {"cups": number}}] if name else []
    return {"id": f"q{number}", "query": SPOKEN[number % 3].format(name or "help", f"number {number} of {number ** 2}"),
            "template": f"t{number}", "answers": answers, **more}  # fmt: skip


def rows() -> list[dict[str, Any]]:
    """400 labelled, 8 refused, 40 of a function held out: line n holds q<n-1>."""
    labelled = [row(n, NAMES[n % 4]) for n in range(400)]
    refused = [row(n, None, answers=["No appropriate function"]) for n in range(400, 408)]
    return labelled + refused + [row(n, UNSEEN, tags=["unseen"]) for n in range(408, 448)]


def write_own(folder: Path, queries: list[dict[str, Any]], **descriptions: str) -> dict[str, Path]:
    """The files' paths, as options of `supertiny init`."""
    pool = {
        name: Function(name, descriptions.get(name, f"to {name}"), {"cups": Parameter("integer")})
        for name in (*NAMES, UNSEEN)
    }
    write_functions(folder / "tools.json", pool)
    (folder / "queries.jsonl").write_text("".join(f"{json.dumps(query)}\n" for query in queries))
    return {"functions": folder / "tools.json", "queries": folder / "queries.jsonl"}


@pytest.fixture(autouse=True)
def author(monkeypatch: pytest.MonkeyPatch) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
