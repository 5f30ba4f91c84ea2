"""The command `supertiny`: what is no stage of the graph, since it makes nothing that is kept."""

import inspect
import sys
from collections.abc import Callable
from importlib import import_module

from supertiny.core.stage import run

COMMANDS = ("serve", "export", "init", "doctor", "compare", "page", "plan")


def main() -> None:
    """Run the command that is named; each says its own options with --help."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: supertiny {{{','.join(COMMANDS)}}} [--help]")
    name, *words = sys.argv[1:]
    command = import_module(f"supertiny.commands.{name}").main
    sys.argv = [f"supertiny {name}", *_first_named(words, command)]
    run(command)


def _first_named(words: list[str], command: Callable[..., None]) -> list[str]:
    """A first word that is no option is the first parameter's value: `init voice` is `init --folder voice`."""
    if not words or words[0].startswith("-"):
        return words
    return [f"--{next(iter(inspect.signature(command).parameters), '')}", *words]
