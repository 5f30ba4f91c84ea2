"""What DVC and git say of two revisions: the machinery is theirs, asked through its command line."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from supertiny.core.errors import UserError
from supertiny.core.git import git
from supertiny.core.programs import tried
from supertiny.review.figures import Figures

SUMMARY = "metrics/summary.json"
RESULTS = "metrics/results.md"
LOCK = "dvc.lock"
MEASURED = re.compile(r"(?i)measured with (.+)")


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter that differs; None where a revision has none of the name."""

    file: str
    name: str
    before: Any
    after: Any


def dvc(*arguments: str) -> str:
    """What a dvc command prints; its own message where it fails."""
    done = _dvc(*arguments)
    if done.returncode:
        raise UserError(f"dvc {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def revision(name: str) -> str:
    """The commit that `name` stands for."""
    git("rev-parse", "--git-dir")  # outside of a repository, git says so
    try:
        return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except UserError:
        raise UserError(f"--base: git knows no revision {name!r} here; fetch it, or name another") from None


def metrics(base: str) -> tuple[Figures, Figures]:
    """Every figure of metrics/summary.json in revision `base`, and in this checkout."""
    found = json.loads(dvc("metrics", "diff", base, "--all", "--json", "--precision", "9")).get(SUMMARY, {})
    before, after = (
        {name: one[side] for name, one in found.items() if one.get(side) is not None} for side in ("old", "new")
    )
    for figures, where in ((before, f"revision {base}"), (after, "this checkout")):
        if not figures:
            raise UserError(f"{SUMMARY}: {where} has no figures; run `dvc repro` there and commit what it wrote")
    return before, after


def params(base: str) -> list[Change]:
    """The parameters that differ, by file and name."""
    found = json.loads(dvc("params", "diff", base, "--json"))
    changes = [
        Change(file, name, one.get("old"), one.get("new")) for file, rows in found.items() for name, one in rows.items()
    ]
    return sorted(changes, key=lambda change: (change.file, change.name))


def machines(base: str) -> tuple[set[str], set[str]]:
    """The machines that served the models, as the page of results names them, in `base` and in this checkout."""
    pages = (_shown(base, RESULTS), Path(RESULTS).read_text(encoding="utf-8") if Path(RESULTS).is_file() else "")
    before, after = (set(MEASURED.findall(page)) for page in pages)
    return before, after


def rerun(base: str) -> list[str]:
    """The stages whose entry in dvc.lock differs from that of `base`, in the order of the lock."""
    now = Path(LOCK).read_text(encoding="utf-8") if Path(LOCK).is_file() else ""
    before, after = (_stages(text) for text in (_shown(base, LOCK), now))
    return [name for name, entry in after.items() if before.get(name) != entry]


def stale() -> list[str]:
    """The first stages that `dvc repro` would run here, whose results are of other code or parameters; data may lack.

    What comes after them is not told. One to run whose inputs lack is told as failed: DVC asks its run cache for them.
    """
    done = _dvc("repro", "--dry", "--allow-missing", "--keep-going")
    found = re.findall(r"(?m)^Running stage '([^']+)'", done.stdout)
    found += [name for names in re.findall(r"failed to reproduce(.+)", done.stderr) for name in names.split("'")[1::2]]
    if done.returncode and not found:
        raise UserError(f"dvc repro --dry --allow-missing: {done.stderr.strip()[-500:]}")
    return found


def graph() -> str:
    """The stages and what they take from each other, in Mermaid."""
    return dvc("dag", "--mermaid").strip()


def _dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return tried([sys.executable, "-m", "dvc", *arguments])


def _shown(revision: str, path: str) -> str:
    """A file of a revision; empty where there is none."""
    try:
        return git("show", f"{revision}:{path}")
    except UserError:
        return ""


def _stages(lock: str) -> dict[str, Any]:
    return (YAML(typ="safe").load(lock) or {}).get("stages", {})
