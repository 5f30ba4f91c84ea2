"""A stage's command line: its paths from the signature of `main`, its errors in one clear line."""

import argparse
import ctypes
import inspect
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supertiny.core.errors import UserError

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
        main(**vars(parser.parse_args()))
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what is resumable goes on at the next run")


def _keep_memory() -> None:
    """Have glibc keep what is freed: every step of a training needs the same memory again, and fresh pages are slow."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            libc.mallopt(option, 2**30)
