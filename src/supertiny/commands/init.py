"""Init: a new project of your own functions and queries, where `dvc repro` works."""

import shutil
import sys
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

import supertiny
from supertiny.core.config import load, load_profile, seed
from supertiny.core.errors import UserError
from supertiny.core.files import whole_file, write_text
from supertiny.core.findings import Finding, State, in_lines
from supertiny.core.git import said, tried
from supertiny.data.build import write_dataset
from supertiny.data.dataset import DatasetConfig, DatasetSizes, OwnConfig
from supertiny.data.own import own
from supertiny.data.survey import read_own, survey_rows, survey_splits
from supertiny.prototype.config import JudgeConfig


def project_readme(name: str, report: str) -> str:
    """The first page: the commands of every day, what the data looked like, and the place of the results."""
    return f"""# {name}

A super-tiny model for one function-calling task, made by supertiny: `data/own/` holds the task's functions and queries,
`params.yaml` every hyperparameter, `profiles/` the machines, `dvc.yaml` the graph. `src/` and `stages/` are a copy of
supertiny's code, which is now this project's own: what is changed here reruns here.

```bash
supertiny doctor                                 # what this machine lacks
dvc repro                                        # everything; again: only what changed
make status                                      # what would run, by the code and profile as they are now
dvc metrics show
dvc exp run -S distill.mu=0.9                    # one experiment
```

`make repro` does the same in an environment of its own (`.venv`), `make readme` copies the results to this page.
Commit `dvc.lock` and `metrics/` with what you changed. To share what was built, `dvc remote add -d shared`
with an address, then `dvc push`.

## The data

As `supertiny init` found it:

```
{report.rstrip()}
```

## Results

<!-- results:begin -->
<!-- results:end -->
"""


def data_readme() -> str:
    """What the files of data/own are."""
    return """The task's data (`dataset.source: own` in `params.yaml`), read by stage `dataset` and checked at the door:

- `functions.json`: a list of tools in the OpenAI schema,
- `queries.jsonl`: one query a line, labelled or not,
- `verdicts.jsonl` where `dataset.own.verdicts` names it: replies that experts judged,
- `knowledge.json` where `dataset.own.knowledge` names it: a list of `{"term": ..., "explanation": ...}`.

git tracks them, so that a clone and a queued experiment have them. A change of any file here reruns stage `dataset`.
What is too large or too private for git goes to DVC: `git rm --cached data/own/queries.jsonl`, then
`dvc add data/own/queries.jsonl`.
"""


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
        others: dict[str, Any] = {"dataset.general": "none", "prompt.rules": []}  # those in params.yaml are the home's
        set_parameters(partial / "params.yaml", {"profile": profile, "dataset.source": "own", **others, **used})
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
        cfg, sizes, number = load("dataset", DatasetConfig), load_profile("sizes.dataset", DatasetSizes), seed()
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


def main(
    folder: Path,
    functions: Path,
    queries: Path,
    verdicts: Path | None = None,
    knowledge: Path | None = None,
    profile: str = "cpu",
) -> None:
    """Make the new project `folder` (also as `supertiny init FOLDER`) after a look at the files, which it says.

    Functions: a list of tools in the OpenAI schema. Queries: JSONL, {"id", "query"} and, labelled, "answers". Verdicts
    of experts and explanations of terms are optional. Nothing is left where the files are wrong.
    """
    files = OwnConfig(
        functions=str(functions),
        queries=str(queries),
        verdicts=str(verdicts) if verdicts else None,
        knowledge=str(knowledge) if knowledge else None,
    )
    found = create(folder, files, profile)
    print(in_lines(found), end="")
    doubts = sum(finding.state is not State.OK for finding in found)
    look = f"; {doubts} of the above want a look (they are in its README.md too)" if doubts else ""
    print(f"{folder}: ready{look}. Go on there with `supertiny doctor`, then `dvc repro`")
