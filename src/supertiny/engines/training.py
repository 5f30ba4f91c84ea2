"""What a model is trained on, the same for every engine that trains one; and where params.yaml says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from supertiny.core.calls import Syntax
from supertiny.core.prompt import ANSWER, THINKS
from supertiny.distill.config import DistillConfig
from supertiny.distill.teacher import Lesson, StoredTeacher, with_mu
from supertiny.model.config import TrainingConfig, TrainMachine
from supertiny.sft.general import GeneralSet
from supertiny.sft.packs import TrainingSet


@dataclass(frozen=True, slots=True)
class StoredLogits:
    """A teacher whose distributions were stored before."""

    cache: Path


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A teacher that is asked at every step of its student's."""

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What to learn, for how long, and from whom."""

    rows: TrainingSet | GeneralSet
    cfg: TrainingConfig
    teacher: StoredLogits | AskedModel | None
    """None: what is minimized is the cross-entropy of the responses"""
    divergence: DistillConfig | None  # section `distill`
    """from the teacher, where there is one"""

    def __post_init__(self) -> None:
        assert (self.teacher is None) == (self.divergence is None), "a teacher and what is made of it go together"

    @property
    def record(self) -> Mapping[str, Any]:
        """Entries of the config.json of the model that comes of it."""
        if not isinstance(self.rows, TrainingSet):
            return {}
        syntax = self.rows.prompt.answer
        other = {} if syntax is Syntax.json else {ANSWER: syntax.value}
        return other | ({THINKS: True} if self.rows.replies else {})

    @property
    def inputs(self) -> tuple[Any, ...]:
        """All that decides, for a key of a killed run's state: paths count there by their content."""
        match self.teacher:
            case StoredLogits(cache=path) | AskedModel(folder=path):
                return path, self.divergence, self.cfg, self.rows
        return self.cfg, self.rows

    def lessons(
        self, teacher: StoredTeacher, tokenizer: PreTrainedTokenizerBase, machine: TrainMachine
    ) -> Sequence[Sequence[Lesson]]:
        """The whole run with stored logits; one that is not stored is an error, before anything is trained."""
        assert self.divergence
        training = self.rows.steps(tokenizer, self.cfg, machine)
        every = {id(pack): pack for step in training for packs in step for pack in packs}  # once, however many epochs
        teacher.must_know(list(every.values()))
        return with_mu(training, self.divergence)
