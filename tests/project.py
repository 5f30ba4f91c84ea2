"""A project folder on the smoke profile, for tests that run stages in process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from supertiny.model import train

TOP = Path(__file__).resolve().parents[1]


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, however deep."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@contextmanager
def smoke_project(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Iterator[Path]:
    """Work in `folder` with the smoke profile and a cache of its own; `change(params, profile)` alters both first."""
    params = yaml.safe_load((TOP / "params.yaml").read_text()) | {"profile": "smoke"}
    profile = yaml.safe_load((TOP / "profiles/smoke.yaml").read_text())
    change(params, profile)
    (folder / "profiles").mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "profiles/smoke.yaml").write_text(yaml.safe_dump(profile))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patched.chdir(folder)
        yield folder


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
