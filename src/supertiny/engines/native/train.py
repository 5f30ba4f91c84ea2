"""Fine-tuning in this process, on one device or data-parallel on many (paper Eq. 1-5)."""

from functools import partial
from pathlib import Path

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.core.stage import is_first
from supertiny.distill.store import CacheReader
from supertiny.distill.teacher import OnlineTeacher, StoredTeacher, lesson_loss, with_mu
from supertiny.engines.training import AskedModel, StoredLogits, TrainingPlan
from supertiny.model.finetune import Course, finetune
from supertiny.model.train import Job
from supertiny.model.vocab import vocabulary
from supertiny.sft.general import GeneralSet


def train(plan: TrainingPlan, job: Job) -> None:
    """Train the job's base as `plan` says; write the model and its loss curve.

    The dev loss is cross-entropy, so that the curves of all losses, and of RFT, can be compared.
    """
    match plan.teacher:
        case StoredLogits(cache=logits):
            course = partial(_by_logits, plan, job, logits)
        case AskedModel(folder=model):
            course = partial(_by_asking, plan, job, model)
        case None:
            course = partial(_by_answers, plan, job)
    finetune(job, course, plan.cfg.fit, plan.cfg.frozen, plan.rows.seed, *plan.inputs)


def _by_answers(plan: TrainingPlan, job: Job, tokenizer: PreTrainedTokenizerBase) -> Course:
    steps = plan.rows.steps(tokenizer, plan.cfg, job.machine)
    dev = plan.rows.dev_batches(tokenizer, job.machine.max_tokens)
    return Course(steps, dev, plan.cfg.dev_points, record=plan.record)


def _by_logits(plan: TrainingPlan, job: Job, logits: Path, tokenizer: PreTrainedTokenizerBase) -> Course:
    assert plan.divergence
    cache, own = CacheReader(logits), vocabulary(job.base)
    teacher = StoredTeacher(cache, cache.align(own))
    return Course(
        plan.lessons(teacher, tokenizer, job.machine),
        plan.rows.dev_batches(tokenizer, job.machine.max_tokens),
        plan.cfg.dev_points,
        load=lambda lesson: teacher.batch(lesson, tokenizer.pad_token_id),
        loss=lesson_loss(plan.divergence, len(own.ids)),
        record=plan.record,
    )


def _by_asking(plan: TrainingPlan, job: Job, model: Path, tokenizer: PreTrainedTokenizerBase) -> Course:
    assert plan.divergence and isinstance(plan.rows, GeneralSet), "who is asked says it at general texts"
    own, rows = vocabulary(job.base), plan.rows
    teacher = OnlineTeacher(model, own, job.machine.precision)
    alike = teacher.spelt_alike(rows.branches(tokenizer), rows.branches(teacher.tokenizer))
    _must_be_most(job.base, sum(alike), len(alike))
    return Course(
        with_mu(rows.only(alike).steps(tokenizer, plan.cfg, job.machine), plan.divergence),
        rows.dev_batches(tokenizer, job.machine.max_tokens),
        plan.cfg.dev_points,
        load=lambda lesson: teacher.batch(lesson, tokenizer.pad_token_id),
        loss=lesson_loss(plan.divergence, len(own.ids)),
        record=plan.record,
    )


def _must_be_most(student: Path, alike: int, of: int) -> None:
    if 2 * alike < of:
        raise UserError(
            f"{student} spells {alike} of {of} general texts in the tokens of its teacher, the others in pieces that "
            "teach nothing; keep their tokens when the vocabulary is trimmed, or trim it after this step"
        )
    if alike < of and is_first():
        tqdm.write(f"{of - alike} of {of} general texts are left out: the student spells them in other tokens")
