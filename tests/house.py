"""What the house is made of, read from its files: modules, imports, stages, parameters. Nothing is imported or run."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "supertiny"


def yaml(path: str) -> dict[str, Any]:
    return YAML(typ="safe").load(ROOT / path)


def profiles() -> list[str]:
    return sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))


def stages() -> dict[str, dict[str, Any]]:
    """Each stage of dvc.yaml; of a foreach, what it does."""
    return {name: stage.get("do", stage) for name, stage in yaml("dvc.yaml")["stages"].items()}


def script(stage: dict[str, Any]) -> Path:
    """The file that a stage's command runs."""
    found = re.search(r"python -m stages\.(\w+)", stage["cmd"])
    assert found, f"not a `python -m stages.<name>`: {stage['cmd']}"
    return ROOT / "stages" / f"{found[1]}.py"


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


def engine_files(path: Path, profile: str) -> set[Path]:
    """The engine modules that a file asks for by `engines.get(..., verb)`, as the profile chooses them."""
    chosen = yaml(f"profiles/{profile}.yaml")["engines"]
    files = set()
    for call in calls(path, "get"):
        if ast.unparse(call.func) == "engines.get" and isinstance(call.args[1], ast.Constant):
            keys = engine_keys(call.args[0]) or engine_keys(tree(path))
            files |= {PACKAGE / "engines" / chosen[key] / f"{call.args[1].value}.py" for key in keys}
    return files


def engine_keys(node: ast.AST) -> set[str]:
    """The keys of the profile's section `engines` that some code reads."""
    loads = [one for one in ast.walk(node) if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Call)]
    return {one.attr for one in loads if ast.unparse(one.value) == "load_profile('engines', Engines)"}


def calls(path: Path, name: str) -> list[ast.Call]:
    """Every call in a file of a function (or method) of this name."""
    found = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    return [node for node in found if ast.unparse(node.func).split(".")[-1] == name]


def holds_code(path: Path) -> bool:
    """Whether a file is more than its docstring."""
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in tree(path).body)


def reached(start: Path, profile: str) -> set[Path]:
    """The files with code of our package that a file may run: its imports, theirs, and the profile's engines."""
    seen: set[Path] = set()
    waiting = {start}
    while waiting:
        path = waiting.pop()
        seen.add(path)
        files = {file for name in imported(path) for part in _prefixes(name) if (file := module_file(part))}
        waiting |= (files | engine_files(path, profile)) - seen
    return {path for path in seen - {start} if holds_code(path)}


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def code_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*.py") if holds_code(path)}


def expand(dep: str) -> set[Path]:
    """The files with code that one dep of dvc.yaml covers."""
    path = ROOT / dep
    return code_in(path) if path.is_dir() else {path}


def shortest(files: set[Path]) -> list[str]:
    """`files` as deps: a folder where all of its code is among them, else the file."""
    deps = set()
    for file in files:
        above = [folder for folder in file.parents if PACKAGE in folder.parents and code_in(folder) <= files]
        deps.add((above[-1] if above else file).relative_to(ROOT).as_posix())
    return sorted(deps)


def leaves(values: Any, prefix: str = "") -> dict[str, Any]:
    """A nested mapping as {dotted key: value}."""
    if not isinstance(values, dict) or not values:
        return {prefix: values}
    return {
        name: leaf
        for key, value in values.items()
        for name, leaf in leaves(value, f"{prefix}.{key}" if prefix else str(key)).items()
    }
