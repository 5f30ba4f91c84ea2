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
    ".gitignore",
    "Makefile",
    "constraints.txt",
    "data/general",
    "data/massive/README.md",  # stage `dataset` depends on the folder
    "dvc.yaml",
    "params.yaml",
    "profiles",
    "pyproject.toml",
    "src",
    "stages",
)
OWN = Path("data/own")
"""the user's own files in the project"""
_REMAINS = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache", ".ipynb_checkpoints")


def checkout() -> Path:
    """The folder with all of `TEMPLATE`: two above the running package, whose code the project gets a copy of."""
    top = Path(supertiny.__file__).resolve().parents[2]
    for name in TEMPLATE:
        if not (top / name).exists():
            why = "a new project is a copy of the checkout that the package runs from"
            raise UserError(f"{top / name} does not exist; {why}: clone supertiny, then `pip install -e .` there")
    return top


def copy_template(top: Path, folder: Path) -> None:
    """Copy `TEMPLATE`, and the lists of what git leaves to DVC, from checkout `top` to `folder`."""
    ignored = (path.relative_to(top) for path in top.glob("data/**/.gitignore"))
    for name in (*map(Path, TEMPLATE), *(path for path in ignored if path.parent != OWN)):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (top / name).is_dir():
            shutil.copytree(top / name, target, ignore=_REMAINS)
        else:
            shutil.copyfile(top / name, target)


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
