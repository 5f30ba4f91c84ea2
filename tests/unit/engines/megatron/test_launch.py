"""What starts the workers: the launcher's words here, over SSH and by Slurm, and what ends with whom."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supertiny.core.errors import UserError
from supertiny.engines.megatron.config import must_start_workers
from supertiny.engines.megatron.layout import SOURCE, command, start

JOB, PROJECT = Path("/scratch/a job"), Path("/a project")


def test_torchrun_here_gets_this_interpreter_and_this_checkouts_code():
    words = command("{python} -m torch.distributed.run --nproc-per-node {processes} {worker}", 4, JOB, PROJECT)
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "4"]
    worker = ["-m", "supertiny.engines.megatron.worker", str(JOB)]
    assert words == ["env", f"PYTHONPATH={SOURCE}", sys.executable, *torchrun, *worker]
    assert (SOURCE / "supertiny/engines/megatron/worker/__main__.py").is_file()


def test_a_remote_shell_reads_the_same_words_that_a_local_command_gets():
    """SSH and `srun bash -c` hand one word to a shell; paths with blanks come out of it whole."""
    torchrun = "{python} -m torch.distributed.run {worker}"
    here = command(torchrun, 2, JOB, PROJECT)
    for remote in (f"ssh gpu1 '{torchrun}'", f"srun --nodes 2 bash -c '{torchrun}'"):
        assert shlex.split(command(remote, 2, JOB, PROJECT)[-1]) == here


def test_a_shells_own_variables_stay():
    assert command("bash -c 'torchrun --rdzv-endpoint ${HEAD}:1 {worker}'", 2, JOB, PROJECT)[-1].startswith(
        "torchrun --rdzv-endpoint ${HEAD}:1 -m "
    )


@pytest.mark.parametrize(
    ("launcher", "said"),
    [
        ("torchrun --nproc-per-node {gpus} {worker}", r"\{gpus\} stands for nothing; known are .*\{processes\}"),
        ("torchrun --nproc-per-node 2", r"expected \{worker\}"),
        ("ssh gpu1 'torchrun {worker}", "not a command line"),
    ],
)
def test_a_launcher_that_cannot_work_is_refused_before_it_runs(launcher, said):
    with pytest.raises(UserError, match=said):
        must_start_workers(launcher)


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"megatron\.launcher: no-such-program"):
        start(["no-such-program", "-m", "x"])


def test_the_exit_status_is_that_of_the_command():
    assert start([sys.executable, "-c", "raise SystemExit(3)"]) == 3


@pytest.mark.engine
def test_whoever_is_told_to_end_ends_what_it_started(tmp_path):
    """SIGTERM to the stage alone, as a queue sends it: its workers must not go on."""
    child = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    parent = (
        f"import sys; from supertiny.engines.megatron.layout import start; start([sys.executable, '-c', {child!r}])"
    )
    running = subprocess.Popen([sys.executable, "-c", parent], env=os.environ | {"PYTHONPATH": str(SOURCE)})
    try:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert running.poll() is None
            time.sleep(0.05)
        pid = int((tmp_path / "pid").read_text())
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=60) == 128 + signal.SIGTERM
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    finally:
        running.kill()
        running.wait()
