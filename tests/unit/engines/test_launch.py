"""Programs are started as the template says, and end with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supertiny.core.errors import UserError
from supertiny.engines.servers.launch import LaunchConfig, launched, program, run_to_end, running

HERE = Path("/a project")
COMMAND = ["python", "-m", "x", "--text", "two words"]


def with_template(template):
    return LaunchConfig(template=template, programs={"vllm": "envs/vllm/bin"})


def alive(pid):
    """Whether a process runs; one that ended and nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ended(pid, seconds=30.0):
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_a_command_alone_is_given_word_by_word_inside_a_word_as_one_line():
    assert launched(COMMAND, with_template("{command}"), 1, HERE) == COMMAND
    assert launched(COMMAND, with_template("srun --gpus={gpus} {command}"), 4, HERE) == ["srun", "--gpus=4", *COMMAND]
    over = launched(COMMAND, with_template('ssh gpu1 "cd {folder} && {command}"'), 1, HERE)
    assert over == ["ssh", "gpu1", "cd '/a project' && python -m x --text 'two words'"]


def test_a_template_runs_for_real_through_a_shell(tmp_path):
    """`sh -c` stands for ssh: both hand one line to a shell."""
    folder = tmp_path / "a b"
    folder.mkdir()
    words = launched(
        [sys.executable, "-c", "import os; print('it is', os.path.basename(os.getcwd()))"],
        with_template('sh -c "cd {folder} && {command}"'),
        1,
        folder,
    )
    run_to_end(words, folder / "log", "x")
    assert (folder / "log").read_text().splitlines()[-1] == "it is a b"


def test_an_engine_without_an_environment_is_named():
    cfg = with_template("{command}")
    assert program("vllm", "python", cfg) == "envs/vllm/bin/python"
    with pytest.raises(UserError, match=r"launch\.programs: expected the folder of engine 'sglang'"):
        program("sglang", "python", cfg)


def test_a_failure_shows_the_end_of_what_was_said(tmp_path):
    lines = "; ".join(f"echo line {number}" for number in range(40))
    with pytest.raises(UserError, match=r"x failed \(exit 3\); all it said is in .*log") as error:
        run_to_end(["sh", "-c", f"{lines}; exit 3"], tmp_path / "log", "x")
    assert "line 39" in str(error.value) and "line 19" not in str(error.value)


def test_a_program_that_is_not_there_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(UserError, match=r"x cannot be started: .*launch\.programs"):
        run_to_end([str(tmp_path / "python")], tmp_path / "log", "x")


CHILD = "import subprocess,sys,time; p=subprocess.Popen(['sleep','60']); print(p.pid, flush=True); time.sleep(60)"
DEAF = (
    "import signal,subprocess,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
)


def first_line(log):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines() if log.is_file() else []
        if len(lines) > 1:
            return lines[1]
        time.sleep(0.02)
    raise AssertionError(f"{log}: nothing was said")


def test_a_program_and_its_children_end_when_they_are_no_longer_needed(tmp_path):
    log = tmp_path / "log"
    with running([sys.executable, "-c", CHILD], log, "x") as process:
        child = int(first_line(log))
        assert alive(child)
    assert ended(process.pid) and ended(child)


def test_a_program_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("supertiny.engines.servers.launch.STOP_S", 0.3)
    log = tmp_path / "log"
    with running([sys.executable, "-c", DEAF], log, "x") as process:
        first_line(log)
    assert process.returncode == -signal.SIGKILL


def test_a_fault_of_ours_ends_the_program_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), running(["sleep", "60"], tmp_path / "log", "x") as process:
        raise KeyboardInterrupt
    assert ended(process.pid)


STAGE = """
import sys, time
from pathlib import Path
from supertiny.engines.servers.launch import running
with running(["sleep", "60"], Path(sys.argv[1]), "x") as process:
    print(process.pid, flush=True)
    time.sleep(60)
"""


def test_a_stage_that_is_told_to_end_takes_its_programs_with_it(tmp_path):
    """As `kill`, Slurm and DVC's queue do: SIGTERM."""
    stage = subprocess.Popen([sys.executable, "-c", STAGE, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    child = int(stage.stdout.readline())
    os.kill(stage.pid, signal.SIGTERM)
    assert stage.wait(60) != 0
    assert ended(child)
