"""Doctor: what this machine and this project have, and what they lack for the graph."""

import json
import sys
from dataclasses import asdict
from importlib import import_module

from supertiny.commands.packages import Asked, install, read_packages
from supertiny.core.errors import UserError
from supertiny.core.findings import Finding, State, in_lines, missing

CHECKS = {
    "packages": ("packages", "findings"),
    "parameters": ("settings", "findings"),
    "engines": ("engines", "findings"),
    "machine": ("machine", "findings"),
    "space": ("machine", "space"),
    "store": ("store", "findings"),
}
"""what is looked at -> module of supertiny.commands, its function; nothing of one is imported before its turn"""


def main(form: str = "text") -> None:
    """Say what is here and what is missing, a line each with the remedy; exit 1 if the active profile lacks something.

    Run it in a project's top folder. Form: text | json.
    """
    if form not in ("text", "json"):
        raise UserError(f"--form: expected text or json, got {form!r}")
    asked = read_packages()
    found = [finding for name in CHECKS for finding in _checked(name, asked)]
    print(json.dumps([asdict(one) for one in found], indent=2) if form == "json" else in_lines(found).rstrip())
    sys.exit(any(one.state is State.MISSING for one in found))


def _checked(name: str, asked: Asked) -> list[Finding]:
    """What one check found; what it cannot look at for want of a package or of sound parameters is a finding too."""
    try:
        module, function = CHECKS[name]
        found: list[Finding] = getattr(import_module(f"supertiny.commands.{module}"), function)(asked)
    except ImportError as error:
        return [missing(name, f"not looked at, {error.name} cannot be imported", install(""))]
    except UserError as error:
        return [missing(name, f"not looked at: {error}", "mend it, then look again")]
    return found
