"""Snapshots of the options that other programs know, and whether a command line is one that they would take.

`tests/unit/engines/flags/<program>-<version>.json`: {"program", "version", "source", "options": {"--name": {"kind":
"int" | "float" | "str" | "flag", "values": how many, or null for any number, "choices": [...] or absent}}}.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "unit/engines/flags"
KINDS = {"int": int, "float": float, "str": str}


def snapshot(name: str) -> dict[str, Any]:
    """The only snapshot of a program, of whatever version."""
    (path,) = FOLDER.glob(f"{name}-[0-9]*.json")
    return json.loads(path.read_text())


def parser(known: dict[str, Any]) -> argparse.ArgumentParser:
    """One that takes what the program takes: no abbreviation, the same types, numbers of values and choices."""
    made = argparse.ArgumentParser(prog=known["program"], allow_abbrev=False, add_help=False)
    for position in known.get("positional", []):
        made.add_argument(position)
    for name, option in known["options"].items():
        if option["kind"] == "flag":
            made.add_argument(name, action="store_true", dest=name)
            continue
        values = option.get("values", 1)
        count = {"nargs": "*"} if values is None else {} if values == 1 else {"nargs": values}
        made.add_argument(name, type=KINDS[option["kind"]], choices=option.get("choices"), dest=name, **count)
    return made


def taken(words: Sequence[str], known: dict[str, Any]) -> dict[str, Any]:
    """What the program would read; SystemExit, its words on stderr, where it would refuse."""
    return {name: value for name, value in vars(parser(known).parse_args(list(words))).items() if value is not None}


def described(found: argparse.ArgumentParser) -> dict[str, Any]:
    """The options of a real parser as a snapshot holds them."""
    return {
        name: _option(action) for action in found._actions for name in action.option_strings if name.startswith("--")
    }


def _option(action: argparse.Action) -> dict[str, Any]:
    if action.nargs == 0:
        return {"kind": "flag"}
    kind = next((name for name, type_ in KINDS.items() if action.type is type_), "str")
    values = 1 if action.nargs in (None, "?") else action.nargs if isinstance(action.nargs, int) else None
    choices = {"choices": sorted(action.choices, key=str)} if action.choices else {}  # some parsers make them of a set
    return {"kind": kind, "values": values, **choices}
