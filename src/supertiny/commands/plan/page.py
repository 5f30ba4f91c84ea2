"""The plan as text."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from supertiny import engines
from supertiny.commands.plan.graph import Stage
from supertiny.commands.plan.hardware import (
    GB,
    MEGATRON_BYTES,
    TRAINED_BYTES,
    Layout,
    Sized,
    answering_s,
    of_source,
    reading_gb,
    serving_gb,
    slowdown,
    training_gb,
    training_s,
    weight_bytes,
)
from supertiny.commands.plan.work import DESCRIBER, LLM, Answering, Setting, Training, Work, kind_of, work
from supertiny.core.config import seed
from supertiny.core.errors import UserError
from supertiny.core.stage import cache_home
from supertiny.engines.megatron.layout import command
from supertiny.engines.openrlhf.arguments import MODULE, Files, arguments
from supertiny.engines.servers.hosted import Kind, Start, home, listens_on
from supertiny.engines.servers.launch import ServerConfig, launched, program
from supertiny.model.trained import COMMON
from supertiny.report.tables import number, table

HOSTED = ("sglang", "vllm", "trtllm")
HOUR = 3600.0
ELSEWHERE = "endpoint"
NATIVE = "native"
OPENRLHF = "openrlhf"
MEGATRON = "megatron"
TOLD_HOURS = 0.1
"""lost by GPUs that wait, from which it is worth a warning"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """By one piece of work."""

    engine: str
    gpus: int
    memory_gb: float
    """of one GPU"""
    hours: float
    warnings: tuple[str, ...] = ()


def engine_of(piece: Work, setting: Setting) -> str:
    """The engine that the profile chooses for its verb."""
    return str(getattr(setting.engines, piece.verb, NATIVE))


def taken(piece: Work, models: Mapping[str, Sized], setting: Setting) -> Taken:
    """By this piece of work on the profile's GPUs."""
    engine = engine_of(piece, setting)
    model = served(piece, models, setting)
    if engine == ELSEWHERE or address(piece, setting):
        return Taken(engine=engine, gpus=0, memory_gb=0.0, hours=0.0)
    found = (
        _answered(piece, engine, model, setting)
        if isinstance(piece, Answering)
        else _learnt(piece, engine, model, setting)
    )
    return replace(found, warnings=found.warnings + _misfits(piece, found, setting))


def served(piece: Work, models: Mapping[str, Sized], setting: Setting) -> Sized:
    """The model that does it: the large one may be another than the one that is fine-tuned."""
    if piece.verb == "chat" and piece.model == LLM and setting.servers.model and engine_of(piece, setting) in HOSTED:
        return of_source(setting.servers.model, setting.folder)
    return models[piece.model]


def server(piece: Answering, setting: Setting) -> ServerConfig:
    """That answers, where a serving engine does."""
    return setting.servers.chat if piece.verb == "chat" else setting.servers.answers


def address(piece: Work, setting: Setting) -> str | None:
    """Of a server that is there already, so that none is started; None: the stage starts what it needs."""
    if isinstance(piece, Answering) and engine_of(piece, setting) in HOSTED:
        return server(piece, setting).url
    return None


def _answered(piece: Answering, engine: str, model: Sized, setting: Setting) -> Taken:
    on = layout(piece, engine, setting)
    hours, memory = answering_s(model, piece.asked, on, setting.gpus) / HOUR, serving_gb(model, on)
    warnings = []
    if engine in HOSTED:
        share = server(piece, setting).memory_share * setting.gpus.memory_gb
        weights = weight_bytes(model) / on.gpus / GB
        if weights > share:
            held = f"{piece.model}'s weights are {weights:.0f} GB a GPU, more than the {share:.0f} of memory_share"
            warnings.append(f"{held}: raise tensor_parallel, {engine} cannot start")
        elif memory > share:
            held = f"{memory:.0f} GB a GPU of weights and {on.at_once} full sequences"
            warnings.append(f"{held} are more than memory_share leaves: fewer will run at once")
    return Taken(engine=engine, gpus=on.all_gpus, memory_gb=memory, hours=hours, warnings=tuple(warnings))


def layout(piece: Answering, engine: str, setting: Setting) -> Layout:
    """How the model that answers stands on GPUs."""
    length = round(piece.asked.prompt + piece.asked.new)
    if engine == OPENRLHF:
        tensor_parallel, cfg = setting.openrlhf.tensor_parallel, setting.rl
        copies = setting.openrlhf.all_gpus // tensor_parallel
        at_once = cfg.prompts_a_batch * cfg.rollouts
        return Layout(gpus=tensor_parallel, copies=copies, at_once=at_once, context=length)
    sizes = {"chat": setting.chat.batch_size, "rl": setting.rollouts.batch_size}
    at_once = sizes.get(piece.verb, setting.generate.batch_size)
    if engine in HOSTED:
        cfg_of = server(piece, setting)
        return Layout(
            gpus=cfg_of.tensor_parallel,
            copies=cfg_of.data_parallel,
            at_once=max(at_once, cfg_of.data_parallel),
            context=cfg_of.context,
        )
    return Layout(gpus=1, copies=1, at_once=at_once, context=length)


def _learnt(piece: Training, engine: str, model: Sized, setting: Setting) -> Taken:
    if piece.passes == 1:
        hours = training_s(model, piece.tokens, 1, setting.gpus, passes=1) / HOUR
        return Taken(engine=engine, gpus=1, memory_gb=reading_gb(model, setting.train.max_tokens), hours=hours)
    if engine == OPENRLHF:
        on, tokens = setting.openrlhf, round(setting.known.prompt + setting.rl.max_new_tokens)
        memory = training_gb(model, on.micro_batch * tokens, on.all_gpus, on.gradient_checkpointing)
        if on.zero_stage == 2:  # every GPU holds all bf16 weights
            memory += 2 * model.parameters * (1 - 1 / on.all_gpus) / GB
        passes = _passes(piece, on.gradient_checkpointing)
        hours = training_s(model, piece.tokens, on.all_gpus, setting.gpus, passes) / HOUR
        return Taken(engine=engine, gpus=on.all_gpus, memory_gb=memory, hours=hours)
    return _learnt_in_steps(piece, engine, model, setting)


def _learnt_in_steps(piece: Training, engine: str, model: Sized, setting: Setting) -> Taken:
    """By engine native or megatron: on copies of the model, each on the GPUs that share it."""
    train, cfg, shared = setting.train, setting.megatron, engine == MEGATRON
    tensor, stages, each = (cfg.tensor_parallel, cfg.pipeline_parallel, cfg.micro_batches) if shared else (1, 1, 1)
    copies = train.processes if piece.how else 1
    gpus, passes = copies * tensor * stages, _passes(piece, train.gradient_checkpointing)
    busy = training_s(model, piece.tokens, gpus, setting.gpus, passes) / HOUR
    packs = setting.learning[piece.how].groups_a_step if piece.how else copies * each
    micro_batches = min(packs, copies * each)  # at least: max_tokens may cut a step into more
    hours = busy * slowdown(micro_batches, copies, stages)
    in_flight = min(stages, -(-micro_batches // copies))  # of which the first stage keeps its blocks' activations
    memory = training_gb(
        model,
        train.max_tokens * in_flight / stages,
        shards=tensor * stages,
        checkpointing=train.gradient_checkpointing,
        tensor_parallel=tensor,
        a_weight=MEGATRON_BYTES if shared and train.precision != "float32" else TRAINED_BYTES,
    )
    if piece.verb == "rl":
        memory += 2 * weight_bytes(model) / GB  # the copy that writes, and the reference
    warnings = []
    if packs < copies * each and hours - busy > TOLD_HOURS:
        waits = f"GPUs wait for {number(hours - busy)} of {number(hours)} hours: a step has {packs} packs"
        section = DESCRIBER if piece.how == DESCRIBER else f"training.{COMMON}"
        warnings.append(f"{waits}; params.yaml: {section}.groups_a_step: {copies * each} would keep them busy")
    return Taken(engine=engine, gpus=gpus, memory_gb=memory, hours=hours, warnings=tuple(warnings))


def _passes(piece: Training, checkpointing: bool) -> int:
    """With activations computed again each backward pass, of two, has a forward pass more."""
    return piece.passes + (piece.passes // 3 if checkpointing else 0)


def _misfits(piece: Work, found: Taken, setting: Setting) -> tuple[str, ...]:
    gpus, warnings = setting.gpus, []
    if found.gpus > gpus.count:
        warnings.append(f"{found.engine} wants {found.gpus} GPUs of {gpus.count}")
    if found.memory_gb > gpus.memory_gb and found.engine not in HOSTED:
        held = f"{piece.model} takes about {found.memory_gb:.0f} GB of a GPU's {gpus.memory_gb:.0f}"
        remedy = "a sharded engine, or a smaller model" if found.engine == NATIVE else "more GPUs"
        warnings.append(f"{held} with engine {found.engine}: it wants {remedy}")
    return tuple(warnings)


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
    if stage.script == "bench" and kind_of(stage, setting) == "prototype":
        verbs.add((setting.engines.chat, "serve"))
    if stage.script == "recover":
        verbs.add((setting.engines.train, "train"))
    found = [said for engine, verb in sorted(verbs) if (said := engines.cannot(engine, verb))]
    if ("native", "rl") in verbs and setting.train.processes > 1:
        found.append(f"engine native does rl in one process, and train.processes is {setting.train.processes}")
    return found


def _server(engine: str, piece: Answering, models: Mapping[str, Sized], setting: Setting) -> list[Started]:
    kind: Kind = engines.home(engine, "serve").kind
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
