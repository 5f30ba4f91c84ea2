"""What a new project is made of: the graph, its parameters and its code, copied from the checkout that is running."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import supertiny
from supertiny.core.errors import UserError
from supertiny.core.files import whole_file

TEMPLATE = (
    ".dvcignore",
    ".github",
    ".gitignore",
    ".gitlab-ci.yml",
    "Makefile",
    "benchmarks/*.py",  # what ours found is no result of the project
    "constraints.txt",
    "data/general",
    "data/massive/README.md",  # stage `dataset` depends on the folder
    "docs",
    "dvc.yaml",
    "envs/*.txt",
    "params.yaml",
    "profiles",
    "pyproject.toml",
    "src",
    "stages",
)
"""files, folders with all that is in them, and patterns"""
OWN = Path("data/own")
"""the user's own files in the project"""
_REMAINS = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache", ".ipynb_checkpoints")


def checkout() -> Path:
    """The folder with all of `TEMPLATE`: two above the running package, whose code the project gets a copy of."""
    top = Path(supertiny.__file__).resolve().parents[2]
    for name in TEMPLATE:
        if not any(top.glob(name)):
            why = "a new project is a copy of the checkout that the package runs from"
            raise UserError(f"{top / name} does not exist; {why}: clone supertiny, then `pip install -e .` there")
    return top


def copy_template(top: Path, folder: Path) -> None:
    """Copy `TEMPLATE`, and the lists of what git leaves to DVC, from checkout `top` to `folder`."""
    for path in (path for name in (*TEMPLATE, "data/**/.gitignore") for path in top.glob(name)):
        if path.parent == top / OWN:
            continue
        target = folder / path.relative_to(top)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, ignore=_REMAINS)
        else:
            shutil.copyfile(path, target)


def set_parameters(path: Path, values: Mapping[str, Any]) -> None:
    """Set dotted keys of a params.yaml; its comments, and the form of all other values, stay."""
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 4096, True
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    params = yaml.load(path)
    for name, value in values.items():
        *sections, key = name.split(".")
        place = params
        for section in sections:
            place = place[section]
        place[key] = value
    with whole_file(path) as partial:
        yaml.dump(params, partial)
