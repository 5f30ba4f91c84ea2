"""One clone of this checkout, built once by the real dvc on the smoke profile; every test works on its own copy.

`make test` builds the short graph, with hardly an entry in each table (`KEPT`); tests marked `graph` the whole one, the
chapters of `profiles/chapters.set` among it.
"""

import json
import operator
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.house import CHAPTERS, put, whole_params, yaml
from tests.pages import documented

ROOT = Path(__file__).resolve().parents[2]
SHORT = {
    "profile": "smoke",
    "dataset.general": "none",  # skills are fetched, and the caches are empty here
    "dataset.lists": "oracle",  # a token of the smoke models is a byte, and a list of all functions has 1,700
    "dataset.num_candidates": 3,
    "prompt.max_pool_tokens": 4000,
    "pack.group_size": 3,
    "trained.shrink.tiny.channels": 0.5,  # of 512: what is left is quantized by groups of 128
    "training.sft.dev_points": 2,
    "training.teaching.epochs": 1,
    "training.teaching.dev_points": 2,
    "decode.max_new_tokens": 16,
    "bench.clients": [1, 4],
    "rl.prompts_a_batch": 2,
    "rl.prompts_a_step": 2,
    "rl.rollouts": 2,
    "rl.batches": 2,
    "rl.dev_points": 1,
    "rl.max_new_tokens": 8,
}
"""parameters that make a random model quick"""
KEPT = {
    "trained.sft": ["sft", "tiny_rft"],
    "trained.shrink": ["tiny"],
    "trained.recover": [],
    "trained.distill": ["tiny_kd"],
    "trained.think": ["thinking"],
    "trained.rl": ["teacher_rl"],
    "trained.quantize": ["w8a16"],
    "systems": ["prototype", "baseline", "tiny_kd", "w8a16"],
    "served": ["tiny_kd"],
    "traces": ["teacher_rl"],
}
"""the entries of each table of the short graph: one chapter is left out, of the others no more than is read"""
STAGE = {"think": "thinker", "systems": "evaluate", "served": "bench"}
"""table of params.yaml -> the stage that has an instance for each entry, where it goes by another name"""


def stage_of(table: str) -> str:
    """The stage of a dotted table, such as trained.sft."""
    name = table.split(".")[-1]
    return STAGE.get(name, name)


ALL = {
    *("resolve", "dataset", "base", "prototype", "ablation", "judge", "rft", "logits", "baseline", "retriever"),
    *("reject", "describer", "retrieval", "distance", "report"),
    *(f"{stage_of(table)}@{name}" for table, names in KEPT.items() for name in names),
}
"""the stages of the short graph"""


@dataclass(frozen=True)
class Checkout:
    """A folder with the project, and the environment its commands run in."""

    path: Path
    env: dict[str, str] = field(repr=False)

    def run(self, *command: str, fails: bool = False) -> str:
        """What a command printed; it must succeed, or fail where that is expected."""
        done = subprocess.run(command, cwd=self.path, env=self.env, capture_output=True, text=True, timeout=2400)
        said = f"{done.stdout}\n{done.stderr}"
        assert bool(done.returncode) == fails, f"{' '.join(command)} -> {done.returncode}\n{said[-6000:]}"
        return said

    def dvc(self, *arguments: str, fails: bool = False) -> str:
        return self.run("dvc", *arguments, fails=fails)

    def documented(self, line: str, more: str = "", fails: bool = False, **values: str) -> str:
        """What a line of the pages printed, `values` in the place of <...>, with `more` words behind it."""
        return self.run("bash", "-ec", f"{documented(line, **values)} {more}", fails=fails)

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "--quiet", "--allow-empty", "-m", "built")

    def set(self, file: str, **values: object) -> None:
        """Set dotted keys (`__` for a dot) of a YAML file, which must be there."""
        with self.yaml(file) as content:
            for name, value in values.items():
                *sections, key = name.split("__")
                place = reduce(operator.getitem, sections, content)
                assert key in place, f"{file} has no {name}"
                place[key] = value

    def add(self, file: str, **values: object) -> None:
        """The same of keys that need not be there, as `++` does it: those of a profile may stand in its base."""
        with self.yaml(file) as content:
            for name, value in values.items():
                *sections, key = name.split("__")
                reduce(lambda place, section: place.setdefault(section, {}), sections, content)[key] = value

    @contextmanager
    def yaml(self, file: str) -> Iterator[dict[str, Any]]:
        """The values of a YAML file, to be changed."""
        yaml = YAML()
        content = yaml.load(self.path / file)
        yield content
        yaml.dump(content, self.path / file)

    def keep(self, names: Mapping[str, list[str]]) -> None:
        """Leave out the entries of tables of params.yaml that are not in `names` (dotted table -> entries)."""
        with self.yaml("params.yaml") as content:
            for table, entries in names.items():
                place = reduce(operator.getitem, table.split("."), content)
                assert set(entries) <= set(place), f"params.yaml: {table} has not all of {entries}"
                for name in set(place) - set(entries) if entries else ():
                    del place[name]
                if not entries:  # emptied, it would be written without its brackets
                    *sections, key = table.split(".")
                    reduce(operator.getitem, sections, content)[key] = {}

    def edit(self, file: str, old: str, new: str) -> None:
        text = (self.path / file).read_text()
        assert old in text
        (self.path / file).write_text(text.replace(old, new))

    def copied(self, path: Path, without: tuple[str, ...] = ()) -> "Checkout":
        """A copy, with an environment of its own; links stay links, what is in `without` is left out."""
        skipped = [str(self.path / name) for name in without]
        shutil.copytree(
            self.path,
            path,
            symlinks=True,
            ignore=lambda folder, names: [name for name in names if str(Path(folder, name)) in skipped],
        )
        return Checkout(path, dict(self.env))

    def our_code(self) -> "Checkout":
        """The same, whose `supertiny` is of its own code, as an editable install of it would be."""
        return Checkout(self.path, self.env | {"PYTHONPATH": str(self.path / "src")})

    def outs(self) -> dict[str, bytes]:
        """Every file that the stages wrote."""
        files = [path for name in ("data", "metrics") for path in sorted((self.path / name).rglob("*"))]
        return {str(path.relative_to(self.path)): path.read_bytes() for path in files if path.is_file()}


def every_stage() -> set[str]:
    """Of dvc.yaml, with an instance for each entry of its table, all chapters among them."""
    params, found = whole_params(), set[str]()
    for name, stage in yaml("dvc.yaml")["stages"].items():
        table = stage.get("foreach", "")
        entries: Any = params
        for key in re.findall(r"\w+", table) if isinstance(table, str) else ():
            entries = entries[key]
        found |= {f"{name}@{entry}" for entry in entries} if table else {name}
    return found


def ran(said: str) -> list[str]:
    """The stages that a `dvc repro` or `dvc exp run` executed, in order."""
    return re.findall(r"(?m)^Running stage '([^']+)'", said)


def stale(checkout: Checkout) -> set[str]:
    """The stages whose parameters, inputs or outs are not as the lock says."""
    return set(json.loads(checkout.dvc("status", "--json").strip().splitlines()[0]))


def compare(checkout: Checkout, *options: str, fails: bool = False) -> str:
    """The report that `supertiny compare` wrote."""
    checkout.run("supertiny", "compare", *options, fails=fails)
    return (checkout.path / "review/report.md").read_text()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """This interpreter's python and dvc first; caches of this session alone; no hub."""
    home = tmp_path_factory.mktemp("home")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DVC_", "GIT_"))}
    return env | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}",
        "XDG_CACHE_HOME": str(home / "cache"),
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),
        "DVC_NO_ANALYTICS": "1",
        "HF_HUB_OFFLINE": "1",
        **{f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }


def changed() -> list[str]:
    """The files of this working tree that are not as in HEAD, new and deleted ones too."""
    listed = (
        ["git", "diff", "-z", "--name-only", "--no-renames", "HEAD"],
        ["git", "ls-files", "-z", "-o", "--exclude-standard"],
    )
    said = [subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout for line in listed]
    return [name for name in "".join(said).split("\0") if name]


def clone_of_ours(folder: Path, environment: dict[str, str]) -> Checkout:
    """A clone of HEAD with this working tree's changes, on the smoke profile, nothing built."""
    checkout = Checkout(folder, environment)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    for name in changed():
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        else:
            target.unlink(missing_ok=True)
    (folder / "dvc.lock").unlink(missing_ok=True)
    put(folder, *CHAPTERS)
    checkout.set("params.yaml", **{name.replace(".", "__"): value for name, value in SHORT.items()})
    if not (folder / ".dvc").is_dir():
        checkout.dvc("init", "--quiet")
    return checkout


@pytest.fixture(scope="session")
def uncut(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Checkout:
    """The whole graph, nothing built; not to be changed."""
    checkout = clone_of_ours(tmp_path_factory.mktemp("uncut") / "project", environment)
    checkout.commit()
    return checkout


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory, uncut: Checkout) -> Checkout:
    """The short graph, nothing built; not to be changed."""
    checkout = uncut.copied(tmp_path_factory.mktemp("clone") / "project")
    checkout.keep(KEPT)
    checkout.set("params.yaml", trained__quantize__w8a16__base="tiny_kd")
    checkout.commit()
    return checkout


@pytest.fixture(scope="session")
def small_built(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Checkout:
    """The project of `small`, built and committed; not to be changed."""
    from . import small

    return small.build(Checkout(tmp_path_factory.mktemp("small"), environment | {"PYTHONPATH": str(ROOT / "src")}))


@pytest.fixture
def small(small_built: Checkout, tmp_path: Path) -> Checkout:
    """A copy of it, to be changed at will."""
    return small_built.copied(tmp_path / "small")


@pytest.fixture(scope="session")
def first_run(clone: Checkout) -> str:
    """What the first `dvc repro` of the short graph printed."""
    said = clone.documented("dvc repro")
    clone.commit()
    return said


@pytest.fixture(scope="session")
def built(clone: Checkout, first_run: str) -> Checkout:
    """The short graph with everything built and committed; not to be changed."""
    return clone


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory, uncut: Checkout) -> tuple[Checkout, str]:
    """The whole graph with everything built and committed, not to be changed; what its `dvc repro` printed."""
    checkout = uncut.copied(tmp_path_factory.mktemp("whole") / "project")
    said = checkout.documented("dvc repro")
    checkout.commit()
    return checkout, said


@pytest.fixture
def copy(built: Checkout, tmp_path: Path) -> Callable[..., Checkout]:
    """Copies of it, to be changed at will; without a cache, DVC can restore nothing."""
    return partial(copies, built, tmp_path)


def copies(built: Checkout, folder: Path, name: str = "copy", cache: bool = True) -> Checkout:
    """A copy in `folder`."""
    return built.copied(folder / name, without=() if cache else (".dvc/cache",))
