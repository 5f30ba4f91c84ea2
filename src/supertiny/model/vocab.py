"""Which tokens a model's ids stand for, so that a student with a trimmed vocabulary can learn from a teacher's logits.

A trimmed model carries its record in config.json: training, pruning and quantizing save that file anew and keep
what they do not know, where a file of its own beside the weights would be lost at the first of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.model.checkpoint import load_config, load_tokenizer, tokenizer_identity

RECORD = "full_vocabulary"
"""key of config.json: identity of the full tokenizer, and the kept ids in their new order, separated by spaces"""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the ids of a model mean in the full tokenizer of its family."""

    tokenizer_sha256: str
    """identity of the full tokenizer"""
    ids: Sequence[int]
    """for each own id the full tokenizer's; rows of the model beyond them are padding"""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Ids of a student and its teacher; -1 where the other has no such token."""

    to_teacher: Tensor
    """[S] the teacher's id of each student id; cut the student's logits to these S before the softmax"""
    to_student: Tensor
    """[T] the student's id of each teacher id; cut the teacher's logits to these T before the softmax"""


def align(student: Vocabulary, teacher: Vocabulary) -> Alignment:
    """Match ids through the full tokenizer that both come from; it must be the same one.

    >>> align(Vocabulary("a", [0, 2, 5]), Vocabulary("a", range(6))).to_student.tolist()
    [0, -1, 1, -1, -1, 2]
    """
    if student.tokenizer_sha256 != teacher.tokenizer_sha256:
        raise UserError(
            f"the student's tokenizer is {student.tokenizer_sha256}, the teacher's {teacher.tokenizer_sha256}: "
            "only models of one tokenizer can exchange logits; take both from one family"
        )
    return Alignment(_places(student.ids, teacher.ids), _places(teacher.ids, student.ids))


def vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of the model in `folder`, trimmed or not."""
    return vocabulary_of(load_config(folder), load_tokenizer(folder))


def vocabulary_of(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """The same of a model in memory; a record that does not fit the tokenizer is an error."""
    num_ids = max(tokenizer.get_vocab().values()) + 1
    recorded = _recorded(config)
    if recorded is None:
        return Vocabulary(tokenizer_identity(tokenizer), range(num_ids))
    if len(recorded.ids) != num_ids:
        raise UserError(
            f"config.json: {RECORD} lists {len(recorded.ids)} tokens, the tokenizer beside it has {num_ids}; "
            "make the trimmed model again"
        )
    return recorded


def full_ids(folder: Path) -> list[int] | None:
    """The full tokenizer's id of each row of a trimmed model, from its config alone; None where nothing was trimmed."""
    recorded = _recorded(load_config(folder))
    return None if recorded is None else list(recorded.ids)


def record_trimmed(config: PreTrainedConfig, before: Vocabulary, kept: Sequence[int]) -> None:
    """Note in `config` that of the vocabulary `before` only the own ids `kept` are left, in this order."""
    ids = " ".join(str(before.ids[index]) for index in kept)
    setattr(config, RECORD, {"tokenizer_sha256": before.tokenizer_sha256, "ids": ids})


def _recorded(config: PreTrainedConfig) -> Vocabulary | None:
    record: Any = getattr(config, RECORD, None)
    if record is None:
        return None
    try:
        found = Vocabulary(str(record["tokenizer_sha256"]), [int(index) for index in record["ids"].split()])
    except (TypeError, KeyError, ValueError, AttributeError):
        raise UserError(f"config.json: {RECORD} cannot be read; make the trimmed model again") from None
    return found


def _places(ids: Sequence[int], among: Sequence[int]) -> Tensor:
    """[len(ids)] where in `among` each id stands, -1 where it does not."""
    place = {index: at for at, index in enumerate(among)}
    return torch.tensor([place.get(index, -1) for index in ids], dtype=torch.long)
