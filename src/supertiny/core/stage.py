"""A stage's command line: its paths from the signature of `main`, its errors in one clear line."""

import argparse
import ctypes
import inspect
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from supertiny.core.config import MACHINE, profile, profile_path
from supertiny.core.errors import UserError
from supertiny.core.files import digest, read_json


def on_processes(count: int) -> None:
    """Where `count` is more than 1 and this is not yet one of them: replace this process by `count` of its kind."""
    if count == 1 or "LOCAL_RANK" in os.environ:
        return
    module = sys.modules["__main__"].__spec__
    assert module is not None, "stages run as `python -m stages.<name>`"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    os.execv(sys.executable, [*torchrun, "-m", "--", module.name, *sys.argv[1:]])


def is_first() -> bool:
    """Whether this process writes the results."""
    return os.environ.get("RANK", "0") == "0"


def cache_home() -> Path:
    """This user's cache folder for supertiny: $XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "supertiny"


@contextmanager
def resumable(stage: str, *inputs: Any) -> Iterator[Path]:
    """A scratch folder that the next run of the same code on the same `inputs` finds; removed on success.

    A path among the inputs counts by its content. The code is that of this stage's script, as stage `resolve` saw it.
    """
    folder = cache_home() / "resume" / f"{stage}-{digest(stage, *inputs, _code())[:24]}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


CODE = Path("data/code")
"""where stage `resolve` says what code each script reaches"""


def _code() -> str:
    """Of the stage that this process is; of another program nothing is known, and it is as good as the first one's."""
    module = sys.modules["__main__"].__spec__
    said = CODE / (module.name if module else "").removeprefix("stages.")
    return said.read_text(encoding="utf-8") if said.is_file() else ""


_KINDS: dict[Any, type] = {Path: Path, Path | None: Path, str: str, str | None: str}
"""what a parameter of a stage may be"""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""options of mallopt(3)"""


def run(main: Callable[..., None]) -> None:
    """Call `main` with one `--name` option per parameter, a Path or a str as annotated; exit 1 on a UserError."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(main), allow_abbrev=False)
    for name, parameter in inspect.signature(main, eval_str=True).parameters.items():
        kind = _KINDS[parameter.annotation]
        required = parameter.default is inspect.Parameter.empty
        default = None if required else parameter.default
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=required, default=default)
    _keep_memory()
    try:
        arguments = vars(parser.parse_args())
        _must_be_resolved()
        main(**arguments)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what is resumable goes on at the next run")


def _must_be_resolved() -> None:
    """A stage reads the profile that DVC has recorded: one that was edited behind stage `resolve` is an error."""
    module = sys.modules["__main__"].__spec__
    if module is None or not module.name.startswith("stages.") or module.name == "stages.resolve":
        return
    if MACHINE.is_file() and read_json(MACHINE) != {"profile": profile_path().stem, **profile()}:
        raise UserError(f"{MACHINE} is not what {profile_path()} says now; run `dvc repro resolve` first")


def _keep_memory() -> None:
    """Have glibc keep what is freed: every step of a training needs the same memory again, and fresh pages are slow."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            libc.mallopt(option, 2**30)
