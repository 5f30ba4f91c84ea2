"""General distillation in this process: a pruned student learns from its corrected teacher, online (paper App. I)."""

from pathlib import Path

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.core.launch import is_first
from supertiny.distill.config import DistillConfig
from supertiny.distill.lessons import lesson_loss, with_mu
from supertiny.model.training import TrainMachine
from supertiny.model.tune import Plan, tune
from supertiny.model.vocab import vocabulary
from supertiny.recover.teacher import OnlineTeacher
from supertiny.recover.texts import GeneralSet, training_steps
from supertiny.sft.config import SftConfig


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
