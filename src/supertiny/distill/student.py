"""The student before it is taught: what is left of a base model, or random weights of a given shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supertiny.core.config import require
from supertiny.core.errors import UserError
from supertiny.core.files import whole_folder
from supertiny.core.records import Example
from supertiny.model import checkpoint
from supertiny.model.batches import collate
from supertiny.model.sources import random_model
from supertiny.prune.importance import measure
from supertiny.prune.search import Shape, cut
from supertiny.prune.texts import domain_texts
from supertiny.prune.vocab import trim_vocabulary
from supertiny.sft.training_set import TrainingSet

TEACHER = "sft"
"""folder of the fine-tuned model: a student may be made of its blocks, but is no student if it keeps them all"""
CALIBRATION_PACKS = 24
"""training prompts that the importance of blocks and channels is measured on"""


@dataclass(kw_only=True, slots=True)
class StudentConfig:
    """One entry of `student_models` of the profile: a small model before it is taught."""

    layers: int
    """blocks of the base model that are kept, those of highest importance; 0: all"""
    inter: int
    """feed-forward channels that each of them keeps, in the same way; 0: all"""
    trim_vocabulary: bool
    """keep only the tokens that the domain reads or writes"""
    init: str | None
    """null: the base model's weights; else a random model of this shape with the base model's tokenizer, as key=integer
    pairs of a Qwen2 config"""

    def __post_init__(self) -> None:
        for name in ("layers", "inter"):
            value = getattr(self, name)
            require(value >= 0, f"{name}: expected 0 or more, got {value}")
            require(not (self.init and value), f"{name}: must be 0 where init gives the shape")


def make_student(base: Path, data: TrainingSet, queries: Sequence[Example], out: Path, cfg: StudentConfig) -> None:
    """Make the student of `cfg` from `base` and write it to `out`.

    `data` is what it will be taught, `queries` what it may be asked besides: the tokens of both are kept.
    """
    tokenizer = checkpoint.load_tokenizer(base)
    packs = data.packs(tokenizer)
    model = random_model(cfg.init, tokenizer, data.seed) if cfg.init else checkpoint.load_model(base)
    if cfg.layers or cfg.inter:
        shown = (collate([pack], tokenizer.pad_token_id) for pack in packs[:CALIBRATION_PACKS])
        layers = _kept("layers", cfg.layers, model.config.num_hidden_layers, base)
        inter = _kept("inter", cfg.inter, model.config.intermediate_size, base)
        cut(model, measure(model, shown), Shape(layers, model.config.hidden_size, inter))
    elif not cfg.init and base.name == TEACHER:
        raise UserError(
            f"a student would be all of {base}: profile: student_models: set layers, inter or init, or give it another "
            "base (params.yaml: students.<name>.of=student)"
        )
    if cfg.trim_vocabulary:
        model, tokenizer = trim_vocabulary(model, tokenizer, domain_texts(data, packs, queries, tokenizer))
    with whole_folder(out) as partial:
        checkpoint.save(model, tokenizer, partial)


def _kept(name: str, wanted: int, there: int, base: Path) -> int:
    if wanted > there:
        raise UserError(f"profile: student_models: {name}: {wanted} are to be kept, {base} has {there}")
    return wanted or there
