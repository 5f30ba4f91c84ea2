"""Starting the workers: on this machine, over SSH or by Slurm, as the profile's launcher says.

The launcher is a command line in which these stand for what only this run knows:
{python} this interpreter with this checkout's code, {processes} how many workers there are, {worker} what torchrun is
to run, {job} and {folder} the folders of the job and of the project, {source} that of this checkout's code. Each is
text for a shell; {python} and {worker}, alone, are several words.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.launcher.process import ended_by_sigterm

PLACES = ("python", "processes", "worker", "job", "folder", "source")
WORKER = "supertiny.engines.megatron.worker"
SOURCE = Path(__file__).resolve().parents[3]
_PLACE = re.compile(r"(?<!\$)\{(\w+)\}")
"""not ${name}, which a remote shell reads"""


def must_start_workers(launcher: str) -> None:
    """An error if `launcher` is no command line, or one that cannot run a job."""
    try:
        words = shlex.split(launcher)
    except ValueError as error:
        raise UserError(f"launcher: not a command line ({error}): {launcher}") from None
    found = {name for word in words for name in _PLACE.findall(word)}
    if unknown := found - set(PLACES):
        known = ", ".join(f"{{{name}}}" for name in PLACES)
        raise UserError(f"launcher: {{{min(unknown)}}} stands for nothing; known are {known}")
    if not found & {"worker", "job"}:
        raise UserError(f"launcher: expected {{worker}}, what torchrun is to run, in it: {launcher}")


def command(launcher: str, processes: int, job: Path, folder: Path) -> list[str]:
    """The words of the command that starts `processes` workers on `job` of the project in `folder`.

    >>> command("torchrun --nproc-per-node {processes} {worker}", 2, Path("/a b"), Path("/p"))[1:]
    ['--nproc-per-node', '2', '-m', 'supertiny.engines.megatron.worker', '/a b']
    >>> command("ssh -tt gpu1 'torchrun {worker}'", 2, Path("/a b"), Path("/p"))
    ['ssh', '-tt', 'gpu1', "torchrun -m supertiny.engines.megatron.worker '/a b'"]
    """
    places = {
        "python": ["env", f"PYTHONPATH={SOURCE}", sys.executable],
        "processes": [str(processes)],
        "worker": ["-m", WORKER, str(job)],
        "job": [str(job)],
        "folder": [str(folder)],
        "source": [str(SOURCE)],
    }
    words: list[str] = []
    for word in shlex.split(launcher):
        alone = _PLACE.fullmatch(word)
        if alone:
            words += places[alone[1]]
        else:
            words.append(_PLACE.sub(lambda place: shlex.join(places[place[1]]), word))
    return words


def start(words: list[str]) -> int:
    """Run a command until it ends, and end it when this process is told to; its exit status."""
    try:
        running = subprocess.Popen(words)
    except OSError as error:
        raise UserError(f"profile: megatron.launcher: {words[0]}: {error.strerror}") from None
    with ended_by_sigterm(), running:
        try:
            return running.wait()
        except BaseException:
            running.terminate()  # torchrun ends its workers; killed, it would leave them
            raise
