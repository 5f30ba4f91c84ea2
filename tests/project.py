"""A project folder on the smoke profile, for tests that run stages in process, and what all of them begin with."""

from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from copy import deepcopy
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from stages import base, dataset
from supertiny.core.config import merged_profile, profile, read_yaml
from supertiny.core.files import digest
from supertiny.model import train
from tests.house import whole_params

TOP = Path(__file__).resolve().parents[1]
_MADE = TemporaryDirectory(prefix="supertiny-tests-")
"""what stages made in this process's projects, by what they read"""


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, however deep."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def merged(profile: str) -> dict[str, Any]:
    """A profile of this project over those that it extends."""
    with chdir(TOP):
        return merged_profile(Path(f"profiles/{profile}.yaml"))


@contextmanager
def smoke_project(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Iterator[Path]:
    """Work in `folder` with the smoke profile and a cache of its own; `change(params, profile)` alters both first."""
    params = deepcopy(whole_params()) | {"profile": "smoke"}
    params["dataset"]["general"] = "none"  # skills are fetched, and the cache is empty here
    params["prompt"]["max_pool_tokens"] = 4000  # a token is a byte here
    params["dataset"]["lists"] = "oracle"  # and the list of all functions has 1,700 of them
    profile = deepcopy(merged("smoke"))
    change(params, profile)
    (folder / "profiles").mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "profiles/smoke.yaml").write_text(yaml.safe_dump(profile))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patched.chdir(folder)
        yield folder


def have_dataset() -> None:
    """The project's data/dataset, made once for all projects whose parameters of it are equal; each has its own copy.

    Of a source that generates: files of a user's own are not looked at.
    """
    params = read_yaml(Path("params.yaml"))
    read = (params["seed"], params["dataset"], profile()["sizes"]["dataset"])
    _have(Path("data/dataset"), dataset.main, *read)


def have_base(*roles: str) -> None:
    """The same of base models (llm, student, encoder), in data/models/."""
    for role in roles:
        read = (read_yaml(Path("params.yaml"))["seed"], profile()["base"][role])
        _have(Path("data/models") / role, lambda out, role=role: base.one(role, out), *read)


def _have(out: Path, make: Callable[[Path], None], *read: Any) -> None:
    kept = Path(_MADE.name) / digest(str(out), *read)
    if kept.exists():
        copytree(kept, out)
    else:
        make(out)
        copytree(out, kept)


@contextmanager
def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """A YAML file with other values, for one test."""
    kept = path.read_text()
    values = yaml.safe_load(kept)
    change(values)
    path.write_text(yaml.safe_dump(values))
    try:
        yield
    finally:
        path.write_text(kept)


@contextmanager
def killed_before_step(number: int) -> Iterator[None]:
    """A training run inside is interrupted before its optimizer step `number`, counted from 0; it must be."""
    step = train._Trainer._step

    def dies(self, at, total):
        if at == number:
            raise KeyboardInterrupt
        return step(self, at, total)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train._Trainer, "_step", dies)
        yield
