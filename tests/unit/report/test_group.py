"""CI installs the group `review` and no more: it must hold all that the two commands import, as the package pins it."""

import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement

from supertiny.core.code import Choices, Tree
from tests.house import PACKAGE, ROOT, imported

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUP = {Requirement(one).name: one for one in PROJECT["dependency-groups"]["review"]}


def test_the_group_holds_what_the_commands_import():
    starts = {PACKAGE / "commands" / f"{command}.py" for command in ("compare", "page")}
    files = {PACKAGE / "__init__.py", PACKAGE / "commands/__init__.py", *starts}
    for start in starts:
        files |= set(Tree(ROOT).reached(start, Choices(engines={}, chosen={})))
    tops = {name.split(".")[0] for file in files for name in imported(file)}
    owners = packages_distributions()
    theirs = tops - sys.stdlib_module_names - {"supertiny", ""}
    assert {owners[name][0].lower() for name in theirs} | {"dvc"} == GROUP.keys()


def test_the_group_pins_what_the_package_pins():
    extras = PROJECT["project"]["optional-dependencies"]
    pinned = {*PROJECT["project"]["dependencies"], *extras["review"]}
    assert {one for one in GROUP.values() if one not in pinned} == set()
