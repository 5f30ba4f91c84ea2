"""The installed OpenRLHF's own parser, checks and reader of reward files, without Ray, DeepSpeed or vLLM.

Its command line is built inside `if __name__ == "__main__":`, so that cannot be imported: the block is run without its
last step, the training. The package alone, `pip install --no-deps`, is enough; `package` brings it.
"""

import argparse
import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from supertiny.core.stage import cache_home

VERSION = "0.11.2"
CLI = Path("openrlhf/cli/train_ppo_ray.py")


@cache
def package() -> Path:
    """A folder with the package in it: installed, or brought into this user's cache; skips where neither can be."""
    found = importlib.util.find_spec("openrlhf")
    if found and found.submodule_search_locations:
        return Path(found.submodule_search_locations[0]).parent
    folder = Path(os.environ.get("SUPERTINY_TEST_PACKAGES", cache_home() / "test-packages")) / f"openrlhf-{VERSION}"
    if not (folder / CLI).is_file():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target"]
        done = subprocess.run(
            [*command, str(folder), f"openrlhf=={VERSION}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"openrlhf=={VERSION} is not here and cannot be brought: {done.stderr.strip()[-200:]}")
    return folder


def options() -> argparse.ArgumentParser:
    """The parser as OpenRLHF builds it."""
    return _run(_main_block(until="args"), [])["parser"]


def read(words: Sequence[str]) -> Any:
    """What OpenRLHF makes of a command line: parsed, its own checks passed, one namespace a prefix."""
    return _run(_main_block(until=None), words)["args"]


def _main_block(until: str | None) -> list[ast.stmt]:
    """The statements behind `if __name__ == "__main__":`, but for the training; up to the one that sets `until`."""
    tree = ast.parse((package() / CLI).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and "__main__" in ast.dump(node.test))
    kept = []
    for node in block.body:
        if until and isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == until:
            break
        if ast.unparse(node) != "train(args)":
            kept.append(node)
    return kept


def _run(block: list[ast.stmt], words: Sequence[str]) -> dict[str, Any]:
    names: dict[str, Any] = {"argparse": argparse, "os": os, "datetime": datetime}
    module = ast.Module(body=block, type_ignores=[])
    with importable("openrlhf", "openrlhf.utils"), patch.object(sys, "argv", ["train_ppo_ray", *words]):
        exec(compile(module, str(CLI), "exec"), names)
    return names


@contextmanager
def importable(*packages: str) -> Iterator[None]:
    """Their modules can be imported inside, without what their `__init__` files import."""
    added = {}
    for name in packages:
        module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(name, None, is_package=True))
        module.__path__ = [str(package() / Path(*name.split(".")))]
        added[name] = module
    with patch.dict(sys.modules, added):
        yield
