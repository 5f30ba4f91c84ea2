"""What a stage's work takes on the engine that does it: GPUs, memory of one, hours; and where that cannot be."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from supertiny.plan.machine import (
    GB,
    TRAINED_BYTES,
    Layout,
    answering_s,
    serving_gb,
    training_gb,
    training_s,
    weight_bytes,
)
from supertiny.plan.setting import Setting
from supertiny.plan.shapes import Sized, of_source
from supertiny.plan.work import LLM, Answering, Training, Work

HOSTED = ("sglang", "vllm", "trtllm")
HOUR = 3600.0
ELSEWHERE = "endpoint"
NATIVE = "native"
OPENRLHF = "openrlhf"
MEGATRON = "megatron"


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
    if engine == ELSEWHERE:
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
        return of_source(setting.servers.model)
    return models[piece.model]


def _answered(piece: Answering, engine: str, model: Sized, setting: Setting) -> Taken:
    on = layout(piece, engine, setting)
    hours = answering_s(model, piece.asked, on, setting.gpus) / HOUR
    warnings = []
    if engine in HOSTED and serving_gb(model, on) > on_share(piece, setting) * setting.gpus.memory_gb:
        held = f"{serving_gb(model, on):.0f} GB a GPU of weights and {on.at_once} full sequences"
        warnings.append(f"{held} are more than memory_share leaves: fewer will run at once")
    return Taken(
        engine=engine, gpus=on.all_gpus, memory_gb=serving_gb(model, on), hours=hours, warnings=tuple(warnings)
    )


def on_share(piece: Answering, setting: Setting) -> float:
    """Of a GPU's memory that its server may take."""
    return (setting.servers.chat if piece.verb == "chat" else setting.servers.answers).memory_share


def layout(piece: Answering, engine: str, setting: Setting) -> Layout:
    """How the model that answers stands on GPUs."""
    length = round(piece.asked.prompt + piece.asked.new)
    if engine == OPENRLHF:
        tensor_parallel, cfg = setting.openrlhf.tensor_parallel, setting.rl
        copies = setting.openrlhf.all_gpus // tensor_parallel
        at_once = cfg.prompts_a_batch * cfg.rollouts
        return Layout(gpus=tensor_parallel, copies=copies, at_once=at_once, context=length)
    machine = setting.chat if piece.verb == "chat" else setting.generate
    if engine in HOSTED:
        cfg_of = setting.servers.chat if piece.verb == "chat" else setting.servers.answers
        return Layout(
            gpus=cfg_of.tensor_parallel,
            copies=cfg_of.data_parallel,
            at_once=max(machine.batch_size, cfg_of.data_parallel),
            context=cfg_of.context,
        )
    return Layout(gpus=1, copies=1, at_once=machine.batch_size, context=length)


def _learnt(piece: Training, engine: str, model: Sized, setting: Setting) -> Taken:
    if engine == OPENRLHF:
        on, tokens = setting.openrlhf, round(setting.known.prompt + setting.rl.max_new_tokens)
        memory = training_gb(model, on.micro_batch * tokens, on.all_gpus, on.gradient_checkpointing)
        if on.zero_stage == 2:  # every GPU holds all bf16 weights
            memory += 2 * model.parameters * (1 - 1 / on.all_gpus) / GB
        hours = training_s(model, piece.tokens, on.all_gpus, setting.gpus, piece.passes) / HOUR
        return Taken(engine=engine, gpus=on.all_gpus, memory_gb=memory, hours=hours)
    train = setting.train
    shards = setting.megatron_gpus if engine == MEGATRON else 1
    gpus = train.processes * shards if piece.passes > 1 else 1
    memory = training_gb(model, train.max_tokens // shards, shards, train.gradient_checkpointing)
    if piece.passes == 1:
        memory += (weight_bytes(model) - TRAINED_BYTES * model.parameters) / GB
    if piece.verb == "rl":
        memory += 2 * weight_bytes(model) / GB  # the copy that writes, and the reference
    hours = training_s(model, piece.tokens, gpus, setting.gpus, piece.passes) / HOUR
    return Taken(engine=engine, gpus=gpus, memory_gb=memory, hours=hours)


def _misfits(piece: Work, found: Taken, setting: Setting) -> tuple[str, ...]:
    gpus, warnings = setting.gpus, []
    if found.gpus > gpus.count:
        warnings.append(f"{found.engine} wants {found.gpus} GPUs of {gpus.count}")
    if found.memory_gb > gpus.memory_gb and found.engine not in HOSTED:
        held = f"{piece.model} takes about {found.memory_gb:.0f} GB of a GPU's {gpus.memory_gb:.0f}"
        remedy = "a sharded engine, or a smaller model" if found.engine == NATIVE else "more GPUs"
        warnings.append(f"{held} with engine {found.engine}: it wants {remedy}")
    return tuple(warnings)
