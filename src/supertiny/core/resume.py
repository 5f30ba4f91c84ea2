"""Where a killed stage finds what it had done: a scratch folder outside the project, keyed by content."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from supertiny.core.files import digest


def cache_home() -> Path:
    """This user's cache folder for supertiny: $XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "supertiny"


@contextmanager
def resumable(stage: str, *inputs: Any) -> Iterator[Path]:
    """A scratch folder that the next run of the same code on the same `inputs` finds; removed on success.

    A path among the inputs counts by its content.
    """
    code = sorted(Path(__file__).parent.parent.rglob("*.py"))
    folder = cache_home() / "resume" / f"{stage}-{digest(stage, *inputs, *code)[:24]}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
