"""Plan: what a profile will run, stage by stage: engines, command lines, GPUs, memory, hours; nothing is run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from supertiny.commands.plan.graph import GRAPH, stages
from supertiny.core.config import PARAMS, profile_path, read_yaml
from supertiny.core.errors import UserError


def main(profile: str | None = None, set: str | None = None) -> None:
    """Print the plan of `profile`, by default the one that params.yaml names.

    `set`: values in DVC's words, such as "rl.rollouts=8 profiles/paper.yaml:engines.rl=openrlhf", or files of them,
    one a line: what `dvc exp run -S ...` would be given; the last one of a key counts.
    """
    # imported here, since stage `resolve` reads the graph and the GPUs from this package too, and has two seconds
    from supertiny.commands.plan.page import page, planned
    from supertiny.commands.plan.work import models, read_setting

    here = Path.cwd()
    with changed(overrides(set), profile) as (name, params):
        setting = read_setting(here)
        found = stages(read_yaml(GRAPH), params)
        sized = models(found, setting)
        print(page([planned(stage, sized, setting) for stage in found], name, setting))


@contextmanager
def changed(overrides: list[str], profile: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(the profile's name, the parameters), in a scratch copy of params and profiles with the new values."""
    from supertiny.commands.plan.work import METRICS

    here = Path.cwd()
    with TemporaryDirectory() as scratch:
        for path in (PARAMS, GRAPH, *METRICS):
            if path.is_file():
                (Path(scratch) / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, Path(scratch) / path)
        shutil.copytree("profiles", Path(scratch) / "profiles")
        os.chdir(scratch)
        try:
            _put([*overrides, *([f"profile={profile}"] if profile else [])])
            yield profile_path().stem, read_yaml(PARAMS)
        finally:
            os.chdir(here)


def overrides(given: str | None) -> list[str]:
    """The values of --set, one by one; a word that names a file stands for its lines."""
    found: list[str] = []
    for word in (given or "").split():
        lines = Path(word).read_text(encoding="utf-8").splitlines() if Path(word).is_file() else [word]
        found += [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return found


def _put(overrides: list[str]) -> None:
    """The values into their files; a key that is not there is an error, as it is for DVC, but behind its `++`."""
    files: dict[Path, dict[str, Any]] = {}
    for override in overrides:
        target, equals, text = override.partition("=")
        file, colon, key = target.partition(":")
        path = Path(file) if colon else PARAMS
        if not equals or not path.is_file():
            raise UserError(f"--set: expected key=value or profiles/<name>.yaml:key=value, got {override!r}")
        values = files.setdefault(path, deepcopy(read_yaml(path)))
        name = key if colon else file
        added = name.startswith("++")
        *above, last = name.removeprefix("++").split(".")
        section: Any = values
        for part in above:
            if added and isinstance(section, dict):
                section.setdefault(part, {})
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or not (added or last in section):
            raise UserError(f"--set: {override!r}: {path} has no such key; {PLUS}")
        section[last] = YAML(typ="safe").load(text)
    for path, values in files.items():
        with path.open("w", encoding="utf-8") as out:
            YAML(typ="safe").dump(values, out)


PLUS = "mend its name, or write ++ before a key that a profile inherits"
