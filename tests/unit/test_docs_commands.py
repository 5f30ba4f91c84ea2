"""Every command of the docs is one that its program takes: options, stages, parameters, extras, files' names.

What the commands do is tried in tests/pipeline; a whole run or a server of every page would take hours.
"""

import ast
import re
import shlex
import tomllib
from argparse import Namespace
from itertools import dropwhile
from pathlib import Path

import pytest
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser

from supertiny.commands import COMMANDS
from supertiny.project.readme import data_readme, project_readme
from tests.house import ROOT, leaves, stages, tree, yaml

PATHS = (ROOT / "README.md", ROOT / "benchmarks/README.md", *(ROOT / "docs").glob("*.md"))
PAGES = {
    **{str(path.relative_to(ROOT)): path.read_text() for path in PATHS},
    "readme of a new project": project_readme("voice", "ok") + data_readme(),
}
OURS = r"(?:dvc|supertiny|make|python -m (?:stages|benchmarks|tests)\.\w+) "
SHELL = {"git", "cd", "source", "for", "done", "sed", "grep", "export", "mkdir"}
"""programs and words that are not of this project"""


def commands(page: str) -> list[list[str]]:
    """The words of every command: of the lines of bash blocks, and of ours in code in the text."""
    lines = "\n".join(re.findall(r"(?ms)^```bash\n(.*?)^```", page)).replace("\\\n", " ").splitlines()
    text = re.sub(r"(?ms)^```.*?^```", "", page)
    lines += [code for code in re.findall(r"`([^`\n]+)`", text) if re.match(OURS, code)]
    return [words for line in lines for words in split(line)]


def split(line: str) -> list[list[str]]:
    """`a && b; c` as three; what $(...) holds apart."""
    inner = re.findall(r"\$\(([^()]*)\)", line)
    lexer = shlex.shlex(re.sub(r"\$\([^()]*\)", "", line), posix=True, punctuation_chars=";|&")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if word and set(word) <= set(";|&"):
            found.append([])
        elif word != "do" or found[-1]:
            found[-1].append(word)
    return [words for words in found if words] + [words for one in inner for words in split(one)]


ALL = sorted({(page, shlex.join(words)) for page, text in PAGES.items() for words in commands(text)})


def test_the_pages_have_commands():
    programs = {shlex.split(command)[0] for _, command in ALL}
    assert programs >= {"dvc", "supertiny", "make", "python"} and len(ALL) > 40


@pytest.mark.parametrize(("page", "command"), ALL)
def test_a_command_is_one_that_its_program_takes(page, command):
    program, *words = dropwhile(lambda word: re.match(r"[A-Z_]+=", word), shlex.split(command))
    program = program.removeprefix(".venv/bin/")
    if program == "dvc":
        dvc(words)
    elif program == "supertiny":
        assert words[0] in COMMANDS
        options(ROOT / f"src/supertiny/commands/{words[0]}.py", words[1:], first=True)
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
        names = leaves(yaml(file or "params.yaml"))
        known_name = name in names or any(one.startswith(f"{name}.") for one in names)
        assert known_name or name.startswith("<"), override


def parsed(words: list[str]) -> Namespace:
    for left_out in ([], ["x"], ["x", "y"]):
        try:
            return get_main_parser().parse_args([*words, *left_out])
        except DvcParserError:
            continue
        except SystemExit as end:
            assert end.code == 0, "--help ends so"
            return Namespace()
    raise AssertionError(f"dvc refuses {words}")
