"""The order in which labelled texts are trained on: for each optimizer step its micro-batches."""

from collections.abc import Sequence
from random import Random

from transformers import PreTrainedTokenizerBase

from supertiny.model.encode import MAX_TOKENS
from supertiny.model.heads import Labelled

Step = list[list[Labelled]]


def text_steps(
    rows: Sequence[Labelled],
    tokenizer: PreTrainedTokenizerBase,
    texts_a_step: int,
    max_tokens: int,
    epochs: int,
    rng: Random,
) -> list[Step]:
    """The whole run; every epoch in a new order, its last step with what is left."""
    order = _measured(rows, tokenizer)
    plan: list[Step] = []
    for _ in range(epochs):
        rng.shuffle(order)
        plan += [_split(order[at : at + texts_a_step], max_tokens) for at in range(0, len(order), texts_a_step)]
    return plan


def text_batches(rows: Sequence[Labelled], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Step:
    """Texts of like length together, at most `max_tokens` padded tokens in each micro-batch (one text at least)."""
    return _split(_measured(rows, tokenizer), max_tokens)


def _measured(rows: Sequence[Labelled], tokenizer: PreTrainedTokenizerBase) -> list[tuple[int, Labelled]]:
    if not rows:
        return []  # a tokenizer of no text raises
    found = tokenizer([row.text for row in rows], truncation=True, max_length=MAX_TOKENS)["input_ids"]
    return [(len(ids), row) for ids, row in zip(found, rows, strict=True)]


def _split(measured: Sequence[tuple[int, Labelled]], max_tokens: int) -> Step:
    batches: Step = []
    for size, row in sorted(measured, key=lambda pair: pair[0]):
        if batches and (len(batches[-1]) + 1) * size <= max_tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
