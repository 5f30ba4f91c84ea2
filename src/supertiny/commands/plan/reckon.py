"""What a stage's work takes on the engine that does it: GPUs, memory of one, hours; and where that cannot be."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
from supertiny.commands.plan.setting import Setting
from supertiny.commands.plan.work import LLM, Answering, Training, Work
from supertiny.engines.servers.launch import ServerConfig
from supertiny.report.tables import number

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
    copies = train.processes if piece.section else 1
    gpus, passes = copies * tensor * stages, _passes(piece, train.gradient_checkpointing)
    busy = training_s(model, piece.tokens, gpus, setting.gpus, passes) / HOUR
    packs = setting.learning[piece.section].groups_a_step if piece.section else copies * each
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
        warnings.append(f"{waits}; params.yaml: {piece.section}.groups_a_step: {copies * each} would keep them busy")
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
