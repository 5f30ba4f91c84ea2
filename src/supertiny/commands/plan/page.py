"""The plan as text."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from supertiny import engines
from supertiny.commands.plan.graph import Stage
from supertiny.commands.plan.hardware import Sized
from supertiny.commands.plan.reckon import (
    HOSTED,
    MEGATRON,
    NATIVE,
    OPENRLHF,
    Taken,
    address,
    engine_of,
    served,
    server,
    taken,
)
from supertiny.commands.plan.setting import Setting
from supertiny.commands.plan.work import LLM, Answering, Work, work
from supertiny.core.config import seed
from supertiny.core.errors import UserError
from supertiny.core.stage import cache_home
from supertiny.engines.megatron.layout import command
from supertiny.engines.openrlhf.arguments import MODULE, Files, arguments
from supertiny.engines.servers.hosted import Kind, Start, home, listens_on
from supertiny.engines.servers.launch import launched, program
from supertiny.report.tables import number, table

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One stage."""

    stage: Stage
    parts: tuple[Taken, ...]
    programs: tuple[Started, ...]
    warnings: tuple[str, ...]


def planned(stage: Stage, models: Mapping[str, Sized], setting: Setting) -> Planned:
    """All that is known of `stage` before it runs."""
    pieces = work(stage, setting)
    warnings = cannot(stage, pieces, setting)
    parts = [taken(piece, models, setting) for piece in pieces]
    programs: list[Started] = []
    try:
        programs = started(stage, pieces, models, setting)
    except UserError as error:
        warnings.append(refused(error))
    warnings += [warning for part in parts for warning in part.warnings]
    return Planned(stage=stage, parts=tuple(parts), programs=tuple(programs), warnings=tuple(dict.fromkeys(warnings)))


def page(found: Sequence[Planned], profile: str, setting: Setting) -> str:
    """The table, what cannot be, and every command line."""
    gpus, total = setting.gpus, sum(part.hours for one in found for part in one.parts)
    head = (
        f"Profile {profile}: {gpus.count} GPUs of {number(gpus.memory_gb)} GB, {number(gpus.tflops)} TFLOPS and "
        f"{number(gpus.tb_s)} TB/s each at their peak, of which {number(gpus.compute_share)} and "
        f"{number(gpus.bandwidth_share)} are taken to be reached. Hours are estimates from above (all answers "
        f"accepted, no prefix shared in training); stages that are not listed take minutes.\n\n"
        f"{number(total)} hours in all, one stage after the other.\n"
    )
    warned = [f"- {one.stage.name}: {warning}" for one in found for warning in one.warnings]
    warnings = "\n".join(["Warnings:", *warned]) if warned else "Nothing is known that cannot fit."
    lines = [f"# {one.stage.name}\n" + "\n".join(_commands(one)) for one in found]
    return "\n".join([head, _table(found), "", warnings, "", "```bash", "\n\n".join(lines), "```", ""])


def _table(found: Sequence[Planned]) -> str:
    """Without the stages that take minutes."""
    rows = [[one.stage.name, *_cells(part)] for one in found for part in one.parts]
    return table(["stage", "engine", "GPUs", "GB a GPU", "hours"], rows)


def _cells(part: Taken) -> list[str]:
    return [part.engine, number(part.gpus), number(part.memory_gb, 1), number(part.hours)]


def _commands(one: Planned) -> list[str]:
    starts = [f"#   starts, by engine {program.engine}:\n#   {shlex.join(program.words)}" for program in one.programs]
    return [one.stage.command, *starts]
