"""A server of one serving engine: started for a model, waited for, asked, stopped; or an address that is given."""

import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

from supertiny.core.ask import ChatMachine, GenerateMachine
from supertiny.core.config import load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import digest, read_json, write_text
from supertiny.core.stage import cache_home
from supertiny.engines.servers.client import Address, Server
from supertiny.engines.servers.launch import (
    LaunchConfig,
    ServerConfig,
    ServersConfig,
    failed,
    launched,
    run_to_end,
    running,
)

POLL_S = 0.5
"""between two questions whether a server answers by now"""
ANYWHERE = "0.0.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a server is started for."""

    model: str
    """folder, or name on the hub"""
    name: str
    """that clients ask for"""
    host: str
    """that it listens on"""
    port: int
    precision: str
    """auto | float32 | bfloat16"""
    at_once: int
    """requests in flight at most"""
    cfg: ServerConfig
    launch: LaunchConfig
    scratch: Path
    """where steps and files are made: another folder for other weights"""
    model_type: str
    """of the folder's config.json; empty for a name on the hub"""
    quantization: Mapping[str, Any]
    """`quantization_config` of the folder's config.json; empty: it has none"""


@dataclass(frozen=True, slots=True)
class Step:
    """A program that makes `out` before the server starts; where that is there, nothing is run."""

    command: list[str]
    out: Path
    """what the program writes is first called `partial(out)`"""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that starts one server."""

    command: list[str]
    steps: list[Step] = field(default_factory=list)
    files: Mapping[Path, str] = field(default_factory=dict)
    """written before, text by path"""


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells one serving engine from another."""

    name: str
    """its folder under engines/, and its key in launch.programs"""
    plan: Callable[[Start], Plan]
    held_to: Callable[[str], dict[str, Any]]
    """the fields of a completion request that hold the reply to an EBNF grammar"""
    prepares: bool = False
    """whether it makes files of the model before it starts, which are kept by the model's content"""


def home() -> Path:
    """Where servers write their logs, and what is made for them is kept."""
    return cache_home() / "servers"


def by_content(model: str) -> Path | str:
    """What tells a model from another: the content of its folder, else its name on the hub."""
    folder = Path(model)
    return folder if (folder / "config.json").is_file() else model


def listens_on(entry: str, cfg: ServerConfig, launch: LaunchConfig) -> str:
    """The host that a server is told; one that is started elsewhere must be told a port too."""
    if launch.here:
        return cfg.host
    if not cfg.port:
        raise UserError(
            f"profile: {entry}.port: 0 looks for a free port on this machine, but launch.template starts the server "
            "elsewhere; name a port"
        )
    return ANYWHERE


def dtype(precision: str) -> str:
    """Of weights and activations: `auto` is what every such GPU multiplies fast, whatever was saved."""
    return "bfloat16" if precision == "auto" else precision


def partial(out: Path) -> Path:
    """Where a step writes what becomes `out` when it is whole."""
    return out.with_name(f".{out.name}.partial")


@contextmanager
def hosted(kind: Kind, model: Path, machine: ChatMachine | GenerateMachine, retries: int | None) -> Iterator[Server]:
    """The server of `model`: the large model's where `machine` is for chats. `retries`: None: the profile's."""
    entry, cfg, name, served = _entry(model, machine)
    again = cfg.retries if retries is None else retries
    if cfg.url:
        with _asked(_address(entry, cfg, cfg.url, served, machine), again) as server:
            yield server
        return
    launch = load_profile("launch", LaunchConfig)
    start = _start(kind, entry, cfg, launch, name, served, machine)
    with _started(kind, start) as url, _asked(_address(entry, cfg, url, served, machine), again) as server:
        yield server


def _entry(model: Path, machine: ChatMachine | GenerateMachine) -> tuple[str, ServerConfig, str, str]:
    """(entry of section `servers`, its settings, the model's folder or name, the name that clients ask for)."""
    servers = load_profile("servers", ServersConfig)
    if isinstance(machine, ChatMachine):
        return "servers.chat", servers.chat, servers.model or str(model.absolute()), servers.model or model.name
    return "servers.answers", servers.answers, str(model.absolute()), model.name


def _start(
    kind: Kind,
    entry: str,
    cfg: ServerConfig,
    launch: LaunchConfig,
    name: str,
    served: str,
    machine: ChatMachine | GenerateMachine,
) -> Start:
    host = listens_on(entry, cfg, launch)
    known = Path(name) / "config.json"
    config = read_json(known) if known.is_file() else {}
    return Start(
        model=name,
        name=served,
        host=host,
        port=cfg.port or _free_port(cfg.host),
        precision=machine.precision,
        at_once=machine.batch_size,
        cfg=cfg,
        launch=launch,
        scratch=home() / kind.name / (digest(by_content(name))[:24] if kind.prepares else ""),
        model_type=config.get("model_type", ""),
        quantization=config.get("quantization_config", {}),
    )


def _address(entry: str, cfg: ServerConfig, url: str, served: str, machine: ChatMachine | GenerateMachine) -> Address:
    of_chats = isinstance(machine, ChatMachine)
    return Address(
        section=entry,
        url=url,
        model=served,
        model_key="servers.model" if of_chats else f"{entry}.url",
        key_variable=cfg.key_variable,
        timeout_s=cfg.timeout_s,
        batch_size=machine.batch_size,
        batch_size_key="chat.batch_size" if of_chats else "generate.batch_size",
        structured=machine.structured if isinstance(machine, ChatMachine) else "none",
    )


@contextmanager
def _asked(address: Address, retries: int) -> Iterator[Server]:
    server = Server(address, retries)
    try:
        server.check()
        yield server
    finally:
        server.close()


@contextmanager
def _started(kind: Kind, start: Start) -> Iterator[str]:
    """The base URL of a server that answers."""
    plan, log = kind.plan(start), home() / f"{kind.name}-{start.port}.log"
    log.unlink(missing_ok=True)
    for path, text in plan.files.items():
        write_text(path, text)
    for step in plan.steps:
        _made(step, start, kind, log)
    url = f"http://{start.cfg.host}:{start.port}/v1"
    tqdm.write(f"{kind.name}: a server of {start.name} starts at {url}; its output is in {log}")
    command = launched(plan.command, start.launch, start.cfg.gpus, Path.cwd())
    with running(command, log, f"the {kind.name} server") as process:
        deadline = time.monotonic() + start.cfg.start_minutes * 60
        while not _answers(url):
            if (code := process.poll()) is not None:
                raise failed(f"the {kind.name} server of {start.model} ended (exit {code}) before it answered", log)
            if time.monotonic() > deadline:
                minutes = f"within start_minutes: {start.cfg.start_minutes}"
                raise failed(f"the {kind.name} server of {start.model} did not answer at {url} {minutes}", log)
            time.sleep(POLL_S)
        yield url


def _made(step: Step, start: Start, kind: Kind, log: Path) -> None:
    """Run the step where its output is not there; of two runs at once, the later one waits for the other's."""
    unfinished = partial(step.out)
    step.out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{unfinished}.lock"):
        if step.out.exists():
            return
        shutil.rmtree(unfinished, ignore_errors=True)
        what = f"{kind.name}: {step.out.name}"
        tqdm.write(f"{what} is made; the output is in {log}")
        run_to_end(launched(step.command, start.launch, start.cfg.gpus, Path.cwd()), log, what)
        if not unfinished.exists():
            raise failed(f"{what}: the program ended well, but wrote no {unfinished}", log)
        unfinished.rename(step.out)


def _answers(url: str) -> bool:
    """Whether the server lists its models: it does when they are loaded."""
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=5) as found:
            return bool(json.load(found).get("data"))
    except (OSError, ValueError, AttributeError, urllib.error.URLError):
        return False


def _free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])
