"""Distillation on many GPUs (paper Eq. 3-5) from cached teacher logits: the model of the native engine, but for
rounding."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from supertiny.distill.cache import CacheReader
from supertiny.distill.config import DistillConfig
from supertiny.distill.lessons import Teacher, with_mu
from supertiny.engines.megatron._job import Plan, Teaching, train
from supertiny.model.training import TrainMachine
from supertiny.model.vocab import vocabulary
from supertiny.sft.config import SftConfig
from supertiny.sft.training_set import TrainingSet


def distill(
    student: Path,
    logits: Path,
    data: TrainingSet,
    out: Path,
    log: Path,
    cfg: DistillConfig,
    teaching: SftConfig,
    machine: TrainMachine,
) -> None:
    """Train `student` on the cached `logits` of its teacher; write the model to `out`, the loss curve to `log`.

    The dev loss is cross-entropy, so that the curves of all losses, and of RFT, can be compared.
    """
    own = vocabulary(student)
    with CacheReader(logits) as cache:
        teacher = Teacher(cache, cache.align(own))

        def plan(tokenizer: PreTrainedTokenizerBase, shared: TrainMachine) -> Plan:
            steps = data.steps(tokenizer, teaching, shared)
            every = {id(pack): pack for step in steps for packs in step for pack in packs}  # once, however many epochs
            teacher.must_know(list(every.values()))
            dev = data.dev_batches(tokenizer, machine.max_tokens)
            return Plan(with_mu(steps, cfg), dev, teaching.dev_points, Teaching(logits.resolve(), own, cfg))

        inputs = (logits, cfg, teaching, data)
        train("distill", student, plan, out, log, teaching.fit, teaching.frozen, machine, data.seed, *inputs)
