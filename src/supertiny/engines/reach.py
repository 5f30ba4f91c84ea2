"""What code each stage's script reaches, with the engines that the profile chooses and the kinds of systems."""

from dataclasses import asdict
from pathlib import Path

from supertiny.core.code import Choices, Tree, code_hash, file_hash
from supertiny.core.config import Engines, load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, whole_folder, write_json
from supertiny.engines import ALSO, ENGINES
from supertiny.engines.systems import KINDS, module_of

CODE = Path("data/code")
"""where stage `resolve` keeps it: a file a script, with the hash of its code"""
FILES = "files.json"
"""in that folder: every reached file's hash, so that what changed can be told"""


def reached(tree: Tree) -> dict[str, list[Path]]:
    """Script -> its files; one that opens systems once for each kind, as evaluate-model."""
    choices = Choices(
        engines={name: {verb: _full(module) for verb, module in verbs.items()} for name, verbs in ENGINES.items()},
        chosen=asdict(load_profile("engines", Engines)),
        also={name: tuple(map(_full, modules)) for name, modules in ALSO.items()},
    )
    found = {}
    for script in sorted((tree.top / "stages").glob("[a-z]*.py")):
        if "open_system(" in script.read_text(encoding="utf-8"):
            for kind in KINDS:
                found[f"{script.stem}-{kind}"] = tree.reached(script, choices, [module_of(kind)])
        else:
            found[script.stem] = tree.reached(script, choices)
    return found


def write_codes(folder: Path, tree: Tree) -> None:
    """Fill `folder` with a file a script, its hash, and with `FILES`."""
    found = reached(tree)
    every = sorted({path for files in found.values() for path in files})
    with whole_folder(folder) as partial:
        for name, files in found.items():
            (partial / name).write_text(f"{code_hash(files)}\n", encoding="utf-8")
        write_json(partial / FILES, {path.relative_to(tree.top).as_posix(): file_hash(path) for path in every})


def explained(folder: Path, tree: Tree, name: str) -> str:
    """The files behind one hash, each with what became of it since `folder` was written."""
    found = reached(tree)
    if name not in found:
        raise UserError(f"--explain: there is no {name!r} (there are: {', '.join(found)})")
    then = read_json(folder / FILES) if (folder / FILES).is_file() else {}
    lines = []
    for path in found[name]:
        known = path.relative_to(tree.top).as_posix()
        state = "same" if then.get(known) == file_hash(path) else "changed" if known in then else "new"
        lines.append(f"{state:<8} {known}")
    said = folder / name
    same = said.is_file() and said.read_text(encoding="utf-8").strip() == code_hash(found[name])
    return "\n".join([*lines, f"{name}: the code {'is' if same else 'is not'} what {folder} says"])


def stale(folder: Path, tree: Tree) -> list[str]:
    """The scripts whose code is not what `folder` says."""
    return [
        name
        for name, files in reached(tree).items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8").strip() != code_hash(files)
    ]


def _full(module: str) -> str:
    return f"supertiny.engines.{module.partition(':')[0]}"
