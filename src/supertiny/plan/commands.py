"""The command lines that a stage starts by itself: a server, or a trainer of another environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from supertiny import engines
from supertiny.core.config import seed
from supertiny.core.errors import UserError
from supertiny.core.resume import cache_home
from supertiny.engines.endpoint._hosted import Kind, Start, home, listens_on
from supertiny.engines.megatron._launch import command
from supertiny.engines.openrlhf._arguments import MODULE, Files, arguments
from supertiny.launcher.process import launched, program
from supertiny.plan.graph import Stage
from supertiny.plan.reckon import HOSTED, MEGATRON, NATIVE, OPENRLHF, address, engine_of, served, server
from supertiny.plan.setting import Setting
from supertiny.plan.shapes import Sized
from supertiny.plan.work import LLM, Answering, Work

PORT = 30_000
"""shown where the profile leaves the choice to the run"""
BY_CONTENT = "by-content"
"""shown for the part of a path that hangs on the content of a model that is not there yet"""


@dataclass(frozen=True, slots=True)
class Started:
    """One program, as it is started."""

    engine: str
    words: list[str]
    """behind the launcher's template"""
    own: list[str]
    """of the program alone"""


def started(stage: Stage, pieces: list[Work], models: Mapping[str, Sized], setting: Setting) -> list[Started]:
    """The programs that `stage` starts, in their order; none where everything is done in its own process."""
    found: list[Started] = []
    for piece in pieces:
        engine = engine_of(piece, setting)
        if engine in HOSTED and isinstance(piece, Answering) and not address(piece, setting):
            found += _server(engine, piece, models, setting)
        elif engine == OPENRLHF and not isinstance(piece, Answering):
            found.append(_openrlhf(stage, setting))
        elif engine == MEGATRON and not isinstance(piece, Answering):
            found.append(_megatron(setting))
    return found


def cannot(stage: Stage, pieces: list[Work], setting: Setting) -> list[str]:
    """What the chosen engines do not do; the stage would stop at once."""
    verbs = {(engine_of(piece, setting), piece.verb) for piece in pieces if piece.verb != NATIVE}
    verbs |= {(setting.engines.chat, "serve")} if stage.script == "prototype_bench" else set()
    if stage.script in ("correct", "recover"):
        verbs.add((setting.engines.sft if stage.script == "correct" else setting.engines.distill, stage.script))
    found = []
    if ("native", "rl") in verbs and setting.train.processes > 1:
        found.append(f"engine native does rl in one process, and train.processes is {setting.train.processes}")
    for engine, verb in sorted(verbs):
        path = engines.HOME / engine
        if not (path / f"{verb}.py").is_file():
            known = ", ".join(sorted(one.stem for one in path.glob("[a-z]*.py")))
            found.append(f"engine {engine} cannot {verb}" + (f"; it can {known}" if known else "; there is none"))
    return found


def _server(engine: str, piece: Answering, models: Mapping[str, Sized], setting: Setting) -> list[Started]:
    kind: Kind = import_module(f"supertiny.engines.{engine}._kind").KIND
    start = _start(engine, piece, models, setting)
    plan = kind.plan(start)
    commands = [*(step.command for step in plan.steps), plan.command]
    return [
        Started(engine, launched(words, setting.launch, start.cfg.gpus, setting.folder), words) for words in commands
    ]


def _start(engine: str, piece: Answering, models: Mapping[str, Sized], setting: Setting) -> Start:
    """As the run will have it, but for the port that is free then and the content of models that are made then."""
    of_chats = piece.verb == "chat"
    cfg = server(piece, setting)
    machine = setting.chat if of_chats else setting.generate
    folder = f"data/models/{piece.model}"
    name = setting.servers.model if of_chats and piece.model == LLM and setting.servers.model else folder
    made = setting.quantized.get(piece.model)
    gptq = {"group_size": setting.quantization.group_size}
    return Start(
        model=name,
        name=name if name != folder else piece.model,
        host=listens_on("servers.chat" if of_chats else "servers.answers", cfg, setting.launch),
        port=cfg.port or PORT,
        precision=machine.precision,
        at_once=machine.batch_size,
        cfg=cfg,
        launch=setting.launch,
        scratch=home() / engine / BY_CONTENT,
        model_type=served(piece, models, setting).model_type,
        quantization=gptq if made else {},
    )


def _openrlhf(stage: Stage, setting: Setting) -> Started:
    state = cache_home() / "resume" / f"openrlhf-{Path(stage.option('out')).name}-{BY_CONTENT}"
    files = Files(base=Path(stage.option("base")), state=state)
    longest = setting.servers.answers.context
    words = arguments(setting.rl, setting.openrlhf, files, longest, seed())
    own = ["env", "RAY_DEDUP_LOGS=0", program(OPENRLHF, "python", setting.launch), "-m", MODULE, *words]
    return Started(OPENRLHF, launched(own, setting.launch, setting.openrlhf.all_gpus, setting.folder), own)


def _megatron(setting: Setting) -> Started:
    """What starts the workers; a template of its own says how."""
    cfg, job = setting.megatron, cache_home() / "resume" / f"megatron-{BY_CONTENT}"
    processes = cfg.tensor_parallel * cfg.pipeline_parallel * setting.train.processes
    words = command(cfg.launcher, processes, job, setting.folder)
    return Started(MEGATRON, words, words)


def refused(error: UserError) -> str:
    """A command line that cannot be written, as a warning."""
    return f"cannot be started: {error}"
