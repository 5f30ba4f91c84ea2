"""A program's life: its command line in the launcher's words, run to its end, or running while it is needed."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from types import FrameType

from supertiny.core.config import require, require_positive
from supertiny.core.errors import UserError

HERE = "{command}"
"""the template that starts a program on this machine"""
PLACES = {"command", "folder", "gpus"}
"""what a template may ask for"""


@dataclass(kw_only=True, slots=True)
class LaunchConfig:
    """Section `launch` of the profile."""

    template: str
    """how a program is started; {command}: its command line, {folder}: this project's, {gpus}: how many it wants"""
    programs: dict[str, str]
    """engine -> folder of its environment's programs, from the project's folder or absolute"""

    def __post_init__(self) -> None:
        try:
            asked = {name for token in shlex.split(self.template) for _, name, _, _ in Formatter().parse(token) if name}
        except ValueError as error:
            raise UserError(f"template: {self.template!r} cannot be read as a command line: {error}") from None
        require("command" in asked, f"template: expected {{command}} in it, got {self.template!r}")
        unknown = ", ".join(sorted(asked - PLACES))
        require(not unknown, f"template: there is no {{{unknown}}} (there are: {', '.join(sorted(PLACES))})")

    @property
    def here(self) -> bool:
        """Whether programs run on this machine."""
        return self.template.strip() == HERE


@dataclass(kw_only=True, slots=True)
class ServerConfig:
    """One entry of section `servers` of the profile: a server of engine sglang, vllm or trtllm."""

    url: str | None
    """base URL, ending in /v1, of a server that is there already; null: the stage starts one and stops it"""
    key_variable: str | None
    """environment variable with the API key that the server at `url` wants"""
    tensor_parallel: int
    """GPUs that hold one copy of the model"""
    data_parallel: int
    """copies"""
    context: int
    """tokens of a prompt and its reply"""
    memory_share: float
    """of a GPU's memory, for weights and keys and values (trtllm: of what the weights leave, for keys and values)"""
    host: str
    """where clients find it"""
    port: int
    """0: any that is free, which only a server on this machine can have"""
    start_minutes: float
    """given up when it does not answer after so long: weights are read, kernels are compiled"""
    retries: int
    """how often one prompt is asked again when the server is busy"""
    timeout_s: float
    """that one reply may take, seconds"""
    extra: list[str]
    """further arguments of its command line"""

    def __post_init__(self) -> None:
        require_positive(self, "tensor_parallel", "data_parallel", "context", "start_minutes", "timeout_s")
        require(0 < self.memory_share <= 1, f"memory_share: expected above 0 to 1, got {self.memory_share}")
        require(0 <= self.port < 2**16, f"port: expected 0 to 65535, got {self.port}")
        require(self.retries >= 0, f"retries: expected 0 or more, got {self.retries}")
        if self.url is not None:
            require(self.url.rstrip("/").endswith("/v1"), f"url: expected one that ends in /v1, got {self.url!r}")
        require(not self.key_variable or bool(self.url), "key_variable: only a server at a url has an API key")

    @property
    def gpus(self) -> int:
        """GPUs that all copies take."""
        return self.tensor_parallel * self.data_parallel


@dataclass(kw_only=True, slots=True)
class ServersConfig:
    """Section `servers` of the profile."""

    model: str | None
    """what the chat server serves: a folder, or a name on the hub; null: the model folder that the stage is given"""
    chat: ServerConfig
    """the large model's: prototype, judge, descriptions"""
    answers: ServerConfig
    """of a model of this project: evaluation, load test, thoughts"""


STOP_S = 30.0
"""that a program and its children may take to end when they are asked to; then they are killed"""
TAIL = 20
"""last lines of a log that an error shows"""


def program(engine: str, name: str, cfg: LaunchConfig) -> str:
    """The path of program `name` in the environment of `engine`."""
    folder = cfg.programs.get(engine)
    if not folder:
        raise UserError(f"profile: launch.programs: expected the folder of engine {engine!r}'s programs")
    return str(Path(folder).expanduser() / name)


def launched(command: Sequence[str], cfg: LaunchConfig, gpus: int, folder: Path) -> list[str]:
    """`command` as the template starts it; `folder`: the project's.

    A word of the template that is {command} alone becomes the command's own words (srun ... {command}); inside a
    longer word it is quoted for a shell (ssh host "cd {folder} && {command}").
    """
    words: list[str] = []
    for word in shlex.split(cfg.template):
        if word == "{command}":
            words += command
        else:
            words.append(word.format(command=shlex.join(command), folder=shlex.quote(str(folder)), gpus=gpus))
    return words


def run_to_end(command: Sequence[str], log: Path, what: str) -> None:
    """Run `command` until it ends, its output appended to `log`; a failure shows the end of that."""
    with running(command, log, what) as process:
        code = process.wait()
    if code:
        raise failed(f"{what} failed (exit {code})", log)


@contextmanager
def running(command: Sequence[str], log: Path, what: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start `command` with its output appended to `log`; on leaving, whatever the reason, it and its children end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output, ended_by_sigterm():
        output.write(f"$ {shlex.join(command)}\n".encode())
        output.flush()
        try:
            process = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            raise UserError(
                f"{what} cannot be started: {error}; profile: launch.programs names the folder of its environment's "
                "programs, launch.template how they are started; envs/ says how the environments are made"
            ) from None
        try:
            yield process
        finally:
            stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a program and its children: asked first, killed where that does not help."""
    if _signal_all(process, signal.SIGTERM):
        deadline = time.monotonic() + STOP_S
        while time.monotonic() < deadline and (process.poll() is None or _signal_all(process, 0)):
            time.sleep(0.05)
        _signal_all(process, signal.SIGKILL)
    process.wait()


def _signal_all(process: "subprocess.Popen[bytes]", sign: int) -> bool:
    """Whether there was anything of the program's group left to signal."""
    try:
        os.killpg(process.pid, sign)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def failed(what: str, log: Path) -> UserError:
    """The error that shows the end of the program's own output."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    shown = "\n  ".join(line.rstrip()[:400] for line in lines[-TAIL:])
    return UserError(f"{what}; all it said is in {log}, its end:\n  {shown}")


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM to this process ends it as ctrl-c does, so that what it started ends too; exit status 128 + 15."""
    if threading.current_thread() is not threading.main_thread():
        yield  # others look after signals
        return

    def end(sign: int, _frame: FrameType | None) -> None:
        sys.exit(128 + sign)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass(kw_only=True, slots=True)
class TrtllmConfig:
    """Section `trtllm` of the profile."""

    examples: str
    """folder `examples` of TensorRT-LLM's repository, as its container has it"""
    precision: str
    """of what is not quantized: float16 | bfloat16"""
    cuda_graphs: bool
    """replay each batch size's kernels as one graph"""

    def __post_init__(self) -> None:
        known = ("float16", "bfloat16")
        require(self.precision in known, f"precision: expected {' or '.join(known)}, got {self.precision!r}")
