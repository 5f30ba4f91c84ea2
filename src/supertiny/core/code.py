"""One hash of the code that a stage's script reaches, its imports followed: what a rerun hangs on.

Comments, docstrings and layout do not count (the hash is of the syntax tree), so wording reruns nothing. What is chosen
at run time is found by how it is asked for: `engines.chosen("chat")` is the module of the engine that the profile
chooses for chats, `engines.get("native", "chat")` that of the engine it names, and a kind of system, which a script
looks up in a table, is handed in. So the code of vLLM or Megatron counts where the profile chooses it, nowhere else.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from supertiny.core.errors import UserError

PACKAGE = "supertiny"


@dataclass(frozen=True, slots=True)
class Choices:
    """What is looked up at run time."""

    engines: Mapping[str, Mapping[str, str]]
    """engine -> verb -> full name of its module"""
    chosen: Mapping[str, str]
    """verb -> the engine that the profile chooses for it"""
    also: Mapping[str, Iterable[str]] = field(default_factory=dict)
    """engine -> modules that it starts by name, as programs of their own"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A checkout: `top` has stages/ and src/."""

    top: Path

    def reached(self, script: Path, choices: Choices, more: Iterable[str] = ()) -> list[Path]:
        """The files of our code that `script` runs, itself first, then sorted; `more` are names of further modules."""
        waiting, seen = {script, *(path for name in more for path in self._files(name, script))}, set[Path]()
        while waiting:
            path = waiting.pop()
            seen.add(path)
            names = {*imported(path), *_asked(path, choices)}
            waiting |= {file for name in names for file in self._files(name, path)} - seen
        return [script, *sorted(seen - {script})]

    def _files(self, name: str, importer: Path) -> Iterator[Path]:
        """The files of one of our modules and of the packages above it; none for anybody else's."""
        parts = name.split(".")
        if parts[0] != PACKAGE:
            return
        found = [_module(self.top.joinpath("src", *parts[:end])) for end in range(1, len(parts) + 1)]
        inside = found[-2] if len(parts) > 1 else None
        if not found[-1] and not (inside and parts[-1] in _read(inside).bound):  # a name inside a module
            where = importer.relative_to(self.top).as_posix()
            raise UserError(f"{where}: imports {name}, which is not there; put it back or mend the import")
        yield from filter(None, found)


def _module(path: Path) -> Path | None:
    """The file of a module or a package."""
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def code_hash(files: Iterable[Path]) -> str:
    """sha256 (hex) of the code in `files`."""
    return sha256(b"".join(file_hash(path).encode() for path in files)).hexdigest()


def file_hash(path: Path) -> str:
    """sha256 (hex) of the syntax tree of a Python file, docstrings and the texts under fields left out."""
    return _read(path).digest


def imported(path: Path) -> frozenset[str]:
    """Full names that a file imports anywhere in it; `from a import b` is a.b."""
    return _read(path).names


@dataclass(frozen=True, slots=True)
class _File:
    """What is asked of one file."""

    digest: str
    names: frozenset[str]
    """what it imports"""
    bound: frozenset[str]
    """what may be imported from it: what it gives a value, at the top or in a block there such as a `try`"""
    questions: tuple[tuple[str, tuple[str, ...]], ...]
    """(`get` or `chosen`, its words) of every question it has for an engine"""


def _read(path: Path) -> _File:
    return _parsed(path, path.read_text(encoding="utf-8"))


@cache
def _parsed(path: Path, text: str) -> _File:
    """Once for each text: many scripts reach the same files."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}; mend it before any stage runs") from None
    names, bound, questions = frozenset(_names(tree)), frozenset(_bound(tree.body)), tuple(_questions(tree))
    return _File(sha256(ast.dump(_Bare().visit(tree)).encode()).hexdigest(), names, bound, questions)


class _Bare(ast.NodeTransformer):
    """Without statements that are a constant alone."""

    def _strip(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body: list[ast.stmt] = node.body  # type: ignore[attr-defined]
        kept = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
        node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _strip


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _bound(body: Iterable[ast.AST]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name  # what it binds inside is its own
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.split(".")[0]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        else:
            yield from _bound(ast.iter_child_nodes(node))


def _questions(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in ("engines.get", "engines.chosen"):
            values = [*node.args, *(word.value for word in node.keywords)]
            words = tuple(one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str))
            if len(words) == len(values):  # else the caller of the command line chooses: no stage does that
                yield name.removeprefix("engines."), words


def _asked(path: Path, choices: Choices) -> Iterator[str]:
    """The modules that a file's questions for engines come to."""
    for kind, words in _read(path).questions:
        engine, verb = (words[0], words[1]) if kind == "get" else (choices.chosen[words[-1]], words[0])
        if verb in choices.engines.get(engine, {}):  # else the parameters are refused with a better word for it
            yield choices.engines[engine][verb]
            yield from choices.also.get(engine, ())
