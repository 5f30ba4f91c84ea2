"""A folder of programs as an engine's environment has one, whose `python -m <their module>` runs a fake of ours."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.project import TOP


def environment(folder: Path, fakes: Mapping[str, str]) -> Path:
    """`folder` with a `python` in it; `fakes`: their module, or program, -> our module with its own words."""
    folder.mkdir(parents=True)
    code = shlex.quote(f"{TOP / 'src'}:{TOP}")
    start = f"PYTHONPATH={code} exec {shlex.quote(sys.executable)}"
    cases = "".join(f'  "-m {module}") shift 2; {start} -m {ours} "$@";;\n' for module, ours in fakes.items())
    _script(folder / "python", f'case "$1 $2" in\n{cases}  *) {start} "$@";;\nesac\n')
    for name, ours in fakes.items():
        if "." not in name:
            _script(folder / name, f'{start} -m {ours} "$@"\n')
    return folder


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
