"""Other programs, run to their end: what they said, or one clear error."""

import subprocess
from collections.abc import Sequence
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
