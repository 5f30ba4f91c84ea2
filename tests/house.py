"""What the house is made of, read from its files: modules, imports, stages, parameters. Nothing is imported or run."""

import ast
import re
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from supertiny.commands.plan import overrides
from supertiny.core.code import Tree
from supertiny.engines import reach

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "supertiny"
CHAPTERS = overrides(str(ROOT / "profiles/chapters.set"))
"""those that the default run leaves out, as values of `-S`"""


@cache
def yaml(path: str) -> dict[str, Any]:
    return YAML(typ="safe").load(ROOT / path)


def put(folder: Path, *values: str) -> None:
    """Other values into the files of `folder`, as DVC puts in those of `-S`."""
    for file, changes in to_path_overrides(list(values)).items():
        apply_overrides(folder / file, changes)


@cache
def whole_params() -> dict[str, Any]:
    """params.yaml with all chapters; not to be changed."""
    with TemporaryDirectory() as folder:
        shutil.copy(ROOT / "params.yaml", folder)
        put(Path(folder), *CHAPTERS)
        return YAML(typ="safe").load(Path(folder) / "params.yaml")


def profiles() -> list[str]:
    return sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))


def stages() -> dict[str, dict[str, Any]]:
    """Each stage of dvc.yaml; of a foreach, what it does."""
    return {name: stage.get("do", stage) for name, stage in yaml("dvc.yaml")["stages"].items()}


def script(stage: dict[str, Any]) -> str:
    """The X of a stage's `python -m stages.X`."""
    found = re.match(r"python -m stages\.(\w+)(?: |$)", stage["cmd"])
    assert found, f"not a `python -m stages.<name>`: {stage['cmd']}"
    return found[1]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """Names of the modules that a file imports anywhere in it; `from a import b` counts as a and a.b."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update([node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)])
    return names


def module_file(name: str) -> Path | None:
    """The file of one of our modules; None for anybody else's, and for a name inside a module."""
    if name.split(".")[0] != "supertiny":
        return None
    path = ROOT / "src" / Path(*name.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


@cache
def reached(profile: str = "cpu") -> dict[str, list[Path]]:
    """Script -> the files that it may run, as `resolve` finds them; of evaluate and bench one a kind of system."""
    assert yaml("params.yaml")["profile"] == profile, "the test asks for the default's"
    return reach.reached(Tree(ROOT))


def code_of(name: str) -> set[Path]:
    """The files that a stage's script may run, whatever the kind."""
    return {path for key, files in reached().items() if key.split("-")[0] == name for path in files}


def calls(path: Path, name: str) -> list[ast.Call]:
    """Every call in a file of a function (or method) of this name."""
    found = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    return [node for node in found if ast.unparse(node.func).split(".")[-1] == name]


def holds_code(path: Path) -> bool:
    """Whether a file is more than its docstring."""
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in tree(path).body)


def leaves(values: Any, prefix: str = "") -> dict[str, Any]:
    """A nested mapping as {dotted key: value}."""
    if not isinstance(values, dict) or not values:
        return {prefix: values}
    return {
        name: leaf
        for key, value in values.items()
        for name, leaf in leaves(value, f"{prefix}.{key}" if prefix else str(key)).items()
    }
