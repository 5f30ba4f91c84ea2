"""Figures and tables in Markdown."""

from collections.abc import Sequence
from typing import Any

from supertiny.report.summary import Row

DASH = "-"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right.

    >>> print(table(["model", "AR"], [["sft", ".9"], ["a|b", "-"]]))
    | model | AR |
    |:--|--:|
    | sft | .9 |
    | a\\|b | - |
    """
    lines = ["|".join(["", ":--", *["--:"] * (len(header) - 1), ""])]
    head, *body = ("| " + " | ".join(map(_cell, cells)) + " |" for cells in [header, *rows])
    return "\n".join([head, *lines, *body])


def number(value: Any, digits: int = 3) -> str:
    """A figure to `digits` decimals, one from 10 on; a dash for what was not measured.

    >>> number(0.91254), number(3), number(None), number(1234.567)
    ('0.913', '3', '-', '1,234.6')
    """
    if value is None:
        return DASH
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{digits if abs(value) < 10 else min(digits, 1)}f}"


def rate(row: Row, name: str = "ar") -> str:
    """A rate and its interval.

    >>> rate({"ar": 0.9, "ar_low": 0.85, "ar_high": 0.94})
    '0.900 [0.850, 0.940]'
    """
    if row.get(name) is None:
        return DASH
    return f"{number(row[name])} [{number(row[f'{name}_low'])}, {number(row[f'{name}_high'])}]"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
