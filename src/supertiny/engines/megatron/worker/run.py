"""One job on this process, from the base model's weights to the trained ones."""

from pathlib import Path

import torch
from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig, finalize_model_grads
from megatron.core.models.gpt import GPTModel
from megatron.core.optimizer import MegatronOptimizer, OptimizerConfig, get_megatron_optimizer
from megatron.core.transformer.module import Float16Module
from torch import distributed as dist
from transformers import PreTrainedConfig

from supertiny.core.files import whole_folder, write_csv
from supertiny.engines.megatron.train import WorkerJob
from supertiny.engines.megatron.worker.loss import Shard
from supertiny.engines.megatron.worker.model import Folder, ResponseHead, adopt, blocks_of, build, export, fill, padded
from supertiny.engines.megatron.worker.parallel import Place, join, leave
from supertiny.engines.megatron.worker.trainer import Lessons, State, Trainer
from supertiny.model import checkpoint
from supertiny.model.config import FitConfig, FrozenConfig
from supertiny.model.hardware import compute_dtype


def run(given: WorkerJob, scratch: Path) -> None:
    """Train as `given` says, with the other workers that share it; `scratch` is a folder that all of them see."""
    place = join(given.layout, given.seed)
    model, trainer = prepare(given, place, scratch)
    trainer.train()
    export(model, checkpoint.load_config(given.job.base), place, scratch / exported(place.stage))
    dist.barrier()
    if place.is_first:
        _write(given, scratch)
        write_csv(given.job.log, trainer.rows)
    leave()


def prepare(given: WorkerJob, place: Place, scratch: Path) -> tuple[GPTModel, Trainer]:
    """This process's part of the base model, and what trains it."""
    job, layout = given.job, given.layout
    config = checkpoint.load_config(job.base)
    in_bfloat16 = place.first_says(compute_dtype(job.machine.precision) is torch.bfloat16)
    dtype = torch.bfloat16 if in_bfloat16 else torch.float32
    model = build(config, layout, place, dtype, job.machine.gradient_checkpointing)
    freeze(model, config, given.cfg.frozen)
    head, parallel = ResponseHead(model), parallelised(model)
    optimizer = adamw(parallel, given.cfg.fit)
    fill(model, config, Folder(job.base), place)
    rows = padded(config.vocab_size, layout.tensor) // layout.tensor
    shard = Shard(place.tensor_rank * rows, place.tensor_group)
    lessons = Lessons(given.teaching, place.is_last_stage, given.pad_id, config.vocab_size, shard)
    state = State(scratch / "state", model, optimizer)
    return model, Trainer(given, place, parallel, head, optimizer, lessons, state)


def freeze(model: GPTModel, config: PreTrainedConfig, frozen: FrozenConfig) -> None:
    """Take what does not learn out of the gradient: the same parameters as in the native engine."""
    if frozen.embeddings and model.pre_process:
        model.embedding.requires_grad_(False)
    if frozen.embeddings and model.post_process and config.tie_word_embeddings:
        model.output_layer.requires_grad_(False)
    first, _ = blocks_of(model)
    last_frozen = int(frozen.blocks * config.num_hidden_layers)
    for number, block in enumerate(model.decoder.layers, first):
        block.requires_grad_(number >= last_frozen)


def parallelised(model: GPTModel) -> DistributedDataParallel:
    """The model under the wrappers that hold its bfloat16 copy and sum the gradients of its copies, in fp32."""
    config = model.config
    inner = Float16Module(config, model) if config.bf16 else model
    several = torch.cuda.is_available() and dist.get_world_size() > 1
    how = DistributedDataParallelConfig(grad_reduce_in_fp32=True, overlap_grad_reduce=several)
    found = DistributedDataParallel(config, how, inner)
    config.no_sync_func, config.finalize_model_grads_func = found.no_sync, finalize_model_grads
    return found


def adamw(model: DistributedDataParallel, cfg: FitConfig) -> MegatronOptimizer:
    """AdamW as in the native engine: decay on matrices only, gradients clipped by their 2-norm over all processes."""
    how = OptimizerConfig(
        optimizer="adam",
        lr=cfg.learning_rate,
        weight_decay=cfg.weight_decay,
        adam_beta1=0.9,
        adam_beta2=0.95,
        clip_grad=cfg.max_grad_norm,
        bf16=model.config.bf16,
        params_dtype=model.config.params_dtype,
    )
    return get_megatron_optimizer(how, [model])


def exported(stage: int) -> str:
    """The file of what a stage has trained, in the job's folder."""
    return f"stage-{stage}.safetensors"


def _write(given: WorkerJob, scratch: Path) -> None:
    """The base model with the weights of all stages, as any other engine writes it."""
    job = given.job
    tokenizer, model = checkpoint.load_tokenizer(job.base), checkpoint.load_model(job.base)
    for stage in range(given.layout.pipeline):
        adopt(model, scratch / exported(stage))
    model.config.update(dict(given.record))
    with whole_folder(job.out) as partial:
        checkpoint.save(model, tokenizer, partial)
