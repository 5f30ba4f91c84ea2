"""Plan: what a profile will run, stage by stage: engines, command lines, GPUs, memory, hours; nothing is run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from supertiny.core.config import PARAMS
from supertiny.core.errors import UserError
from supertiny.plan.graph import stages
from supertiny.plan.page import page, planned
from supertiny.plan.setting import METRICS, read_setting
from supertiny.plan.work import models

GRAPH = Path("dvc.yaml")


def main(profile: str | None = None, set: str | None = None) -> None:
    """Print the plan of `profile`, by default the one that params.yaml names.

    `set`: values in DVC's words, such as "rl.rollouts=8 profiles/paper.yaml:engines.rl=openrlhf", or a file of them,
    one a line: what `dvc exp run -S ...` would be given.
    """
    with changed(overrides(set), profile) as (name, params):
        setting = read_setting(params)
        found = stages(_yaml(GRAPH), params)
        sized = models(found, setting)
        print(page([planned(stage, sized, setting) for stage in found], name, setting))


@contextmanager
def changed(overrides: list[str], profile: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(the profile's name, the parameters), in a scratch copy of params and profiles with the new values."""
    here = Path.cwd()
    with TemporaryDirectory() as scratch:
        for path in (PARAMS, GRAPH, METRICS):
            if path.is_file():
                (Path(scratch) / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, Path(scratch) / path)
        shutil.copytree("profiles", Path(scratch) / "profiles")
        os.chdir(scratch)
        try:
            for override in [*overrides, *([f"profile={profile}"] if profile else [])]:
                _put(override)
            params = _yaml(PARAMS)
            yield str(params["profile"]), params
        finally:
            os.chdir(here)


def overrides(given: str | None) -> list[str]:
    """The values of --set, one by one."""
    if not given:
        return []
    path = Path(given)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else given.split()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _put(override: str) -> None:
    """One value into its file; a key that is not there is an error, as it is for DVC."""
    target, equals, text = override.partition("=")
    file, colon, key = target.partition(":")
    path = Path(file) if colon else PARAMS
    *above, last = (key if colon else file).split(".")
    if not equals or not path.is_file():
        raise UserError(f"--set: expected key=value or profiles/<name>.yaml:key=value, got {override!r}")
    yaml = YAML()  # keeps the order of keys, which is that of stages made of them
    values = yaml.load(path)
    section: Any = values
    for part in above:
        section = section.get(part) if isinstance(section, dict) else None
    if not isinstance(section, dict) or last not in section:
        raise UserError(f"--set: {override!r}: {path} has no such key")
    section[last] = YAML(typ="safe").load(text)
    with path.open("w", encoding="utf-8") as changed_file:
        yaml.dump(values, changed_file)


def _yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} does not exist; run from the project's top folder")
    values = YAML(typ="safe").load(path)
    return dict(values)
