"""The command `supertiny`: what is no stage of the graph, since it makes nothing that is kept."""

import sys
from importlib import import_module

from supertiny.core.stage import run

COMMANDS = ("serve", "export", "plan")


def main() -> None:
    """Run the command that is named; each says its own options with --help."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: supertiny {{{','.join(COMMANDS)}}} [--help]")
    name = sys.argv.pop(1)
    sys.argv[0] = f"supertiny {name}"
    run(import_module(f"supertiny.commands.{name}").main)
