"""The order in which labelled texts are trained on: for each optimizer step its micro-batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from transformers import PreTrainedTokenizerBase

from supertiny.model.batches import micro_batches, steps
from supertiny.model.encode import MAX_TOKENS
from supertiny.model.heads import Labelled

Step = list[list[Labelled]]


@dataclass(frozen=True, slots=True)
class _Measured:
    row: Labelled
    num_tokens: int

    def __len__(self) -> int:
        return self.num_tokens


def text_steps(
    rows: Sequence[Labelled],
    tokenizer: PreTrainedTokenizerBase,
    texts_a_step: int,
    max_tokens: int,
    epochs: float,
    rng: Random,
    processes: int = 1,
) -> list[Step]:
    """The whole run; every epoch in a new order, its last step with what is left."""
    found = steps(_measured(rows, tokenizer), texts_a_step, max_tokens, epochs, rng, processes)
    return [_rows(step) for step in found]


def text_batches(rows: Sequence[Labelled], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Step:
    """Texts of like length together, at most `max_tokens` padded tokens in each micro-batch (one text at least)."""
    return _rows(micro_batches(_measured(rows, tokenizer), max_tokens))


def _measured(rows: Sequence[Labelled], tokenizer: PreTrainedTokenizerBase) -> list[_Measured]:
    if not rows:
        return []  # a tokenizer of no text raises
    found = tokenizer([row.text for row in rows], truncation=True, max_length=MAX_TOKENS)["input_ids"]
    return [_Measured(row, len(ids)) for ids, row in zip(found, rows, strict=True)]


def _rows(batches: Sequence[Sequence[_Measured]]) -> Step:
    return [[one.row for one in batch] for batch in batches]
