"""Distillation in this process (paper Eq. 3-5), from cached teacher logits."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from supertiny.core.calls import Pool
from supertiny.core.records import Example
from supertiny.distill.cache import CacheReader
from supertiny.distill.config import DistillConfig
from supertiny.distill.divergence import Divergence
from supertiny.distill.lessons import TaughtBatch, Teacher, with_mu
from supertiny.distill.loss import divergence_sum
from supertiny.model import checkpoint
from supertiny.model.batches import micro_batches, steps
from supertiny.model.training import TrainMachine
from supertiny.model.tune import Plan, tune
from supertiny.model.vocab import vocabulary
from supertiny.prompt.compressed import PromptConfig
from supertiny.sft.config import PackConfig, SftConfig
from supertiny.sft.pack import training_packs, unchanged


def distill(
    student: Path,
    logits: Path,
    examples: Sequence[Example],
    dev: Sequence[Example],
    pool: Pool,
    out: Path,
    log: Path,
    cfg: DistillConfig,
    teaching: SftConfig,
    packing: PackConfig,
    prompt: PromptConfig,
    machine: TrainMachine,
    seed: int,
) -> None:
    """Train `student` on the cached `logits` of its teacher; write the model to `out`, the loss curve to `log`.

    The dev loss is cross-entropy, so that the curves of all losses, and of RFT, can be compared.
    """
    cache = CacheReader(logits)
    own = vocabulary(student)
    teacher = Teacher(cache, cache.align(own))

    def loss(logits_NV: Tensor, batch: TaughtBatch) -> Tensor:
        divergence = Divergence(kind=cfg.loss, mu=batch.mu, alpha=cfg.alpha)
        real_NV = logits_NV if logits_NV.shape[-1] == len(own.ids) else logits_NV[:, : len(own.ids)]
        return divergence_sum(real_NV, batch.signal, divergence, cfg.chunk_rows)

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        encode, end = checkpoint.encoder(tokenizer), tokenizer.eos_token_id
        packs = training_packs(examples, pool, encode, end, packing, prompt, Random(seed))
        order = steps(packs, teaching.groups_a_step, machine.max_tokens, teaching.epochs, Random(teaching.shuffle_seed))
        watched = training_packs(dev, pool, encode, end, unchanged(packing), prompt, Random(seed))
        return Plan(
            with_mu(order, cfg.mu_start, cfg.mu),
            micro_batches(watched, machine.max_tokens),
            teaching.dev_points,
            load=lambda lesson: teacher.batch(lesson, tokenizer.pad_token_id),
            loss=loss,
        )

    inputs = (logits, cfg, teaching, packing, prompt, pool, examples, dev)
    tune("distill", student, plan, out, log, teaching.fit, teaching.train_embeddings, machine, seed, *inputs)
