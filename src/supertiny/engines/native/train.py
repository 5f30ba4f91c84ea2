"""Supervised fine-tuning in this process (paper Eq. 1-2), on one device or data-parallel on many."""

from pathlib import Path

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.core.stage import is_first
from supertiny.core.thought import THINKS
from supertiny.distill.divergence import DistillConfig
from supertiny.distill.store import CacheReader
from supertiny.distill.teacher import OnlineTeacher, Teacher, lesson_loss, with_mu
from supertiny.model.finetune import Plan, tune
from supertiny.model.train import TrainMachine
from supertiny.model.vocab import vocabulary
from supertiny.sft.general import GeneralSet, training_steps
from supertiny.sft.packs import SftConfig, TrainingSet


def sft(base: Path, data: TrainingSet, out: Path, log: Path, cfg: SftConfig, machine: TrainMachine) -> None:
    """Train `base` on the reply to each example; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        training = data.steps(tokenizer, cfg, machine)
        dev = data.dev_batches(tokenizer, machine.max_tokens)
        return Plan(training, dev, cfg.dev_points, record={THINKS: True} if data.replies else {})

    tune("sft", base, plan, out, log, cfg.fit, cfg.frozen, machine, data.seed, cfg, data)


def correct(base: Path, data: GeneralSet, out: Path, log: Path, cfg: SftConfig, machine: TrainMachine) -> None:
    """Train `base` on the answers of `data`; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        training = training_steps(data.branches(tokenizer), cfg, machine)
        return Plan(training, data.dev_batches(tokenizer, machine.max_tokens), cfg.dev_points)

    tune("correct", base, plan, out, log, cfg.fit, cfg.frozen, machine, data.seed, cfg, data)


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


def recover(
    student: Path,
    teacher: Path,
    data: GeneralSet,
    out: Path,
    log: Path,
    cfg: DistillConfig,
    teaching: SftConfig,
    machine: TrainMachine,
) -> None:
    """Train `student` on what `teacher` says at the answers of `data`; write it to `out`, the loss curve to `log`.

    The dev loss is cross-entropy, as that of the teacher's correction.
    """
    own = vocabulary(student)
    asked = OnlineTeacher(teacher, own, machine.precision)

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        rows = data.branches(tokenizer)
        alike = asked.spelt_alike(rows, data.branches(asked.tokenizer))
        _must_be_most(student, len(alike), len(rows))
        return Plan(
            with_mu(training_steps(alike, teaching, machine), cfg),
            data.dev_batches(tokenizer, machine.max_tokens),
            teaching.dev_points,
            load=lambda lesson: asked.batch(lesson, tokenizer.pad_token_id),
            loss=lesson_loss(cfg, len(own.ids)),
        )

    inputs = (teacher, cfg, teaching, data)
    tune("recover", student, plan, out, log, teaching.fit, teaching.frozen, machine, data.seed, *inputs)


def _must_be_most(student: Path, alike: int, of: int) -> None:
    if 2 * alike < of:
        raise UserError(
            f"{student} spells {alike} of {of} general texts in the tokens of its teacher, the others in pieces that "
            "teach nothing; keep their tokens when the vocabulary is trimmed, or trim it after this step"
        )
    if alike < of and is_first():
        tqdm.write(f"{of - alike} of {of} general texts are left out: the student spells them in other tokens")
