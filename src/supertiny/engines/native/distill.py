"""Distillation in this process (paper Eq. 3-5), from cached teacher logits."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from supertiny.distill.cache import CacheReader
from supertiny.distill.config import DistillConfig
from supertiny.distill.lessons import Teacher, lesson_loss, with_mu
from supertiny.model.training import TrainMachine
from supertiny.model.tune import Plan, tune
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
    cache = CacheReader(logits)
    own = vocabulary(student)
    teacher = Teacher(cache, cache.align(own))

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        training = data.steps(tokenizer, teaching, machine)
        every = {id(pack): pack for step in training for packs in step for pack in packs}  # once, however many epochs
        teacher.must_know(list(every.values()))
        return Plan(
            with_mu(training, cfg),
            data.dev_batches(tokenizer, machine.max_tokens),
            teaching.dev_points,
            load=lambda lesson: teacher.batch(lesson, tokenizer.pad_token_id),
            loss=lesson_loss(cfg, len(own.ids)),
        )

    inputs = (logits, cfg, teaching, data)
    tune("distill", student, plan, out, log, teaching.fit, teaching.frozen, machine, data.seed, *inputs)
