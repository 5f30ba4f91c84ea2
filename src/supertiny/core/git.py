"""What git says of the checkout in the current folder."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from supertiny.core.errors import UserError


def tried(command: Sequence[str], folder: Path = Path()) -> subprocess.CompletedProcess[str]:
    """The finished process, whether it succeeded or not; a program that is not installed is an error."""
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError(f"{command[0]} is not installed; install it") from None


def said(command: Sequence[str], folder: Path = Path()) -> str:
    """What a command printed, without blank ends; one that fails is an error with its last words."""
    done = tried(command, folder)
    if done.returncode:
        raise UserError(f"{' '.join(command)}: {' '.join((done.stderr or done.stdout).split())[-500:]}")
    return done.stdout.strip()


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
