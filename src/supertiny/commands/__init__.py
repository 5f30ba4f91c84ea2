"""The command `supertiny`: what is no stage of the graph, since it makes nothing that is kept."""

import ast
import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from supertiny.core.stage import run

COMMANDS = ("ask", "serve", "export", "init", "doctor", "compare", "page", "plan")


def main() -> None:
    """Run the command that is named; each says its own options with --help."""
    name, *words = sys.argv[1:] or [""]
    if name in ("-h", "--help"):
        print(_usage())
        return
    if name not in COMMANDS:
        sys.exit(_usage())
    command = import_module(f"supertiny.commands.{name}").main
    sys.argv = [f"supertiny {name}", *_first_named(words, command)]
    run(command)


def _usage() -> str:
    """Every command with what it is for: the first line of its module, which is not imported for it."""
    told = {name: ast.get_docstring(ast.parse(_file(name).read_text(encoding="utf-8"))) for name in COMMANDS}
    lines = [f"  {name:<8} {(text or '').splitlines()[0].partition(': ')[2]}" for name, text in told.items()]
    return "\n".join([f"usage: supertiny {{{','.join(COMMANDS)}}} [--help]", "", *lines])


def _file(name: str) -> Path:
    """Of the command's module, or of its package."""
    module = Path(__file__).with_name(f"{name}.py")
    return module if module.is_file() else module.with_suffix("") / "__init__.py"


def _first_named(words: list[str], command: Callable[..., None]) -> list[str]:
    """A first word that is no option is the first parameter's value: `init voice` is `init --folder voice`."""
    if not words or words[0].startswith("-"):
        return words
    return [f"--{next(iter(inspect.signature(command).parameters), '')}", *words]
