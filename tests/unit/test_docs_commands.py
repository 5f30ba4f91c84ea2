"""Every command of the pages is run by a test, or stands here with the reason; each is one that its program takes."""

import ast
import re
import shlex
import sys
import tomllib
from argparse import ArgumentParser, Namespace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser

from supertiny.commands import COMMANDS
from supertiny.commands.plan import overrides
from tests.house import ROOT, calls, leaves, stages, tree, whole_params, yaml
from tests.pages import LINES, OURS, TYPED, commands

SHELL = {"git", "cd", "source", "for", "done", "sed", "grep", "export", "mkdir"}
"""programs and words that are not of this project"""
LEFT = {
    "make test": "it runs most tests, this one too; make test-all, which .ci/run runs, holds all of it",
    "dvc queue start": "its workers would outlive the test; tests/pipeline/test_experiments.py runs a queue to its end",
    "dvc import-url": "wants the file's address; tests/unit/data/test_massive.py reads such a file",
    "dvc exp run $(grep -v '^#' ../supertiny/benchmarks/massive.set": "three quarters of an hour of real models, "
    "whose results are committed; tests/pipeline/test_init.py runs a short project of the same files",
    "python -m benchmarks.engines": "an hour of real models; tests/stages/test_engines_benchmark.py has tiny ones",
    "python -m benchmarks.scale": "a plan at four sizes; tests/unit/benchmarks/test_scale.py makes one of the page's",
    "python -m benchmarks.": "minutes to hours of trained models, done by hand; what came out is committed",
    "OMP_NUM_THREADS=1 python -m benchmarks.table7": "hours of models; tests/unit/benchmarks/test_table7.py sums it up",
}
"""how a line begins -> why no test runs it as it stands"""


def run_by_tests() -> set[str]:
    """The lines that tests take from the pages by `documented(line)`."""
    found = [call for path in (ROOT / "tests").rglob("*.py") for call in calls(path, "documented")]
    return {call.args[0].value for call in found if isinstance(call.args[0], ast.Constant)}


def begins(line: str, with_one_of: set[str]) -> bool:
    return any(f"{line} ".startswith(one) for one in with_one_of)


def test_every_command_of_the_pages_is_run_by_a_test_or_says_why_not():
    """A mention, such as `dvc exp run`, is run where a line that begins with it is."""
    ran = run_by_tests()
    ours = {line for line in TYPED if any(re.match(OURS, f"{shlex.join(words)} ") for words in commands(line))}
    silent = {line for line in ours if not begins(line, {*LEFT}) and not any(begins(one, {f"{line} "}) for one in ran)}
    assert silent == set(), "run each in a test, with tests/pages.py, or say in LEFT why not"
    assert ran <= TYPED, "tests run these as lines of the pages, which no page has"
    assert len(ran) > 50


@pytest.mark.parametrize("line", LEFT)
def test_what_is_not_run_stands_on_a_page_and_its_reason_names_tests_that_are_there(line):
    assert any(begins(one, {line}) for one in TYPED - run_by_tests())
    assert all((ROOT / path).is_file() for path in re.findall(r"[\w./]+\.py|\.ci/run", LEFT[line]))


@pytest.mark.parametrize(
    ("page", "command"), sorted({(page, shlex.join(words)) for page, line in LINES for words in commands(line)})
)
def test_a_command_is_one_that_its_program_takes(page, command):
    words = shlex.split(command)
    program, *words = [word for at, word in enumerate(words) if at or not re.fullmatch(r"[A-Z_]+=\S+", word)]
    program = program.removeprefix(".venv/bin/")
    if program == "dvc":
        dvc(words)
    elif program == "supertiny":
        assert words[0] in COMMANDS
        home = ROOT / "src/supertiny/commands" / words[0]
        options(home / "__init__.py" if home.is_dir() else home.with_suffix(".py"), words[1:], first=True)
    elif program == "python":
        assert words[0] == "-m"
        options(ROOT / f"{words[1].replace('.', '/')}.py", words[2:])
    elif program == "make":
        assert re.search(rf"(?m)^{words[0]}:", (ROOT / "Makefile").read_text())
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert {name for word in words for name in re.findall(r"\[(\w+)\]", word)} <= extras.keys()
    else:
        assert program in SHELL, f"{program}: what is it?"


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/*.set")), ids=lambda path: path.name)
def test_a_file_of_values_names_parameters_that_are_there(path):
    dvc(["exp", "run", *(word for value in overrides(str(path)) for word in ("-S", value))])


def options(path: Path, words: list[str], first: bool = False) -> None:
    """`--name value` as the `main` of a file takes them; `first`: a first word without a dash is the first one."""
    (main,) = [node for node in tree(path).body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    known = [argument.arg.replace("_", "-") for argument in main.args.args]
    needed = set(known[: len(known) - len(main.args.defaults)])
    if first and words and not words[0].startswith("-"):
        words = [f"--{known[0]}", *words]
    given = {word[2:] for word in words if word.startswith("--")}
    assert given <= set(known)
    assert not words or "..." in words or needed <= given, "a command in full names all that it needs"


def dvc(words: list[str]) -> None:
    """DVC takes it, or would with operands that a mention leaves out; the stages and parameters it names are ours."""
    arguments = parsed(words)
    known = {name.split("@")[0] for name in stages()}
    for target in getattr(arguments, "targets", None) or []:
        if words[0] in ("repro", "exp") and not target.startswith("<"):
            assert target.split("@")[0] in known, target
    for override in getattr(arguments, "set_param", None) or []:
        file, _, name = override.partition("=")[0].rpartition(":")
        own, inherited = names_of(file or "params.yaml")
        names = own | inherited if name.startswith("++") else own
        name = name.removeprefix("++")
        known_name = name in names or any(one.startswith(f"{name}.") for one in names)
        assert known_name or name.startswith("<"), override


def names_of(file: str) -> tuple[set[str], set[str]]:
    """The parameters in a file, all chapters among them, and those it takes over: of a profile, of section `shrink`."""
    values = dict(whole_params() if file == "params.yaml" else yaml(file))
    if base := values.pop("extends", None):
        return set(leaves(values)), set().union(*names_of(f"profiles/{base}.yaml"))
    entries = values.get("trained", {}).get("shrink", {})
    return set(leaves(values)), {f"trained.shrink.{one}.{key}" for one in entries for key in values["shrink"]}


@cache
def parser() -> ArgumentParser:
    """DVC's, made once; it looks for its debugging flags in what this process was called with."""
    with patch.object(sys, "argv", ["dvc"]):
        return get_main_parser()


def parsed(words: list[str]) -> Namespace:
    for left_out in ([], ["x"], ["x", "y"]):
        try:
            return parser().parse_args([*words, *left_out])
        except DvcParserError:
            continue
        except SystemExit as end:
            assert end.code == 0, "--help ends so"
            return Namespace()
    raise AssertionError(f"dvc refuses {words}")
