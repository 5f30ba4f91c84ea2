"""A new project: its own files looked at, beside a copy of the graph, under git and DVC from the start."""

import shutil
import sys
from contextlib import chdir
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from supertiny.core.config import load, load_profile, seed
from supertiny.core.errors import UserError
from supertiny.core.files import write_text
from supertiny.core.findings import Finding, in_lines
from supertiny.core.programs import said, tried
from supertiny.data.dataset import DatasetConfig, DatasetSizes, OwnConfig
from supertiny.data.folder import write_dataset
from supertiny.data.own import own
from supertiny.judge.kinds import JudgeConfig
from supertiny.project.readme import data_readme, project_readme
from supertiny.project.rows import read_own
from supertiny.project.splits import survey_splits
from supertiny.project.survey import survey_rows
from supertiny.project.template import OWN, checkout, copy_template, set_parameters

PLACES = {
    "functions": OWN / "functions.json",
    "queries": OWN / "queries.jsonl",
    "verdicts": OWN / "verdicts.jsonl",
    "knowledge": OWN / "knowledge.json",
}
"""where each of the user's files goes in the project"""
LINKS = "reflink,hardlink,symlink,copy"
"""how DVC brings a file from its cache, the first that the file system knows"""


def create(folder: Path, files: OwnConfig, profile: str) -> list[Finding]:
    """Make project `folder` of the user's `files`, whole or not at all; what was found in them."""
    target, top = _free(folder), checkout()
    given = {field.name: Path(path) for field in fields(files) if (path := getattr(files, field.name))}
    for name, path in given.items():
        if not path.is_file():
            raise UserError(f"--{name}: {path} does not exist")
    said(["git", "var", "GIT_COMMITTER_IDENT"], target.parent)  # who commits, or git's words on how to say so
    with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        partial = Path(scratch) / target.name
        copy_template(top, partial)
        used = {f"dataset.own.{name}": str(place) if name in given else None for name, place in PLACES.items()}
        set_parameters(partial / "params.yaml", {"profile": profile, "dataset.source": "own", **used})
        found = survey(partial, files)
        (partial / OWN).mkdir(parents=True)
        for name, path in given.items():
            shutil.copyfile(path, partial / PLACES[name])
        write_text(partial / OWN / "README.md", data_readme())
        write_text(partial / "README.md", project_readme(target.name, in_lines(found)))
        _start_tracking(partial, top)
        partial.replace(target)
    return found


def survey(project: Path, files: OwnConfig) -> list[Finding]:
    """What the `files` hold, and the splits that stage `dataset` of `project` will make of them: here it makes them."""
    with chdir(project):
        cfg, sizes, number = load("dataset", DatasetConfig), load_profile("dataset", DatasetSizes), seed()
        judge = load("judge", JudgeConfig).kind
    read = read_own(Path(files.functions), Path(files.queries))
    dataset = own(replace(cfg, own=files), sizes, number)
    with TemporaryDirectory() as scratch:
        write_dataset(Path(scratch) / "dataset", dataset, number)
    return survey_rows(read) + survey_splits(read, dataset, sizes, judge)


def _free(folder: Path) -> Path:
    """The folder that the project becomes: new or empty, and no part of another repository's work."""
    target = folder.resolve()
    if target == Path.cwd():
        raise UserError(f"--folder: {folder} is the current folder; go one up and name it from there")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"--folder: {folder} exists and is not empty; name a new folder")
    if not target.parent.is_dir():
        raise UserError(f"--folder: there is no {target.parent} to make {target.name} in")
    above = tried(["git", "rev-parse", "--show-toplevel"], target.parent)
    if above.returncode == 0 and tried(["git", "check-ignore", "-q", str(target)], target.parent).returncode:
        raise UserError(f"--folder: {folder} lies in the git repository {above.stdout.strip()}; name one outside of it")
    return target


def _start_tracking(folder: Path, top: Path) -> None:
    """git and DVC with one commit, which experiments start from."""
    said(["git", "init", "--quiet", "--initial-branch", "main"], folder)
    for arguments in ("init --quiet", "config core.analytics false", f"config cache.type {LINKS}"):
        said([sys.executable, "-m", "dvc", *arguments.split()], folder)
    revision = tried(["git", "rev-parse", "--short", "HEAD"], top).stdout.strip()
    said(["git", "add", "--all"], folder)
    said(["git", "commit", "--quiet", "--message", f"New project, by supertiny {revision}".rstrip()], folder)
