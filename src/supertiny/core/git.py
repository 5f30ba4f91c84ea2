"""What git says of the checkout in the current folder."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.programs import said


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model, or a page of results, comes from."""

    revision: str
    """git commit; with a + where the checkout differs from it"""
    lock_sha256: str
    """of dvc.lock, which names every input, parameter and output by its hash"""


def git(*arguments: str) -> str:
    """What a git command prints; its own message where it fails."""
    return said(["git", *arguments])


def provenance(lock: Path) -> Provenance:
    """Of the checkout in the current folder."""
    if not lock.is_file():
        raise UserError(f"{lock} does not exist; build the graph with `dvc repro` first")
    revision = git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    return Provenance(revision, sha256(lock.read_bytes()).hexdigest())
