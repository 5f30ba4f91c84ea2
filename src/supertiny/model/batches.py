"""From token ids to batches: several answers behind one shared prefix.

Shapes: B packs, T tokens of the longest, N response tokens of the batch.

A pack is a small tree: one shared prefix and its branches, laid out in one row. Each branch sees the
prefix and itself, at the positions it would have alone, so its logits are those of the branch on its
own, while the prefix is computed once (forward and backward).
"""

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import TypeVar

import torch
from torch import Tensor

MULTIPLE = 64
"""T is rounded up to it: few distinct shapes, so memory and compiled kernels are used again"""

Item = TypeVar("Item", bound=Sized)
"""anything whose length is its number of tokens"""


@dataclass(frozen=True, slots=True)
class Branch:
    """One query behind a shared prefix."""

    prompt: list[int]
    response: list[int]


@dataclass(frozen=True, slots=True)
class Pack:
    """A shared prefix and the branches behind it."""

    prefix: list[int]
    branches: tuple[Branch, ...]

    def __len__(self) -> int:
        return len(self.prefix) + sum(len(b.prompt) + len(b.response) for b in self.branches)

    @property
    def num_responses(self) -> int:
        """Response tokens of all branches."""
        return sum(len(branch.response) for branch in self.branches)


@dataclass(frozen=True, slots=True)
class Batch:
    """Packs as tensors. `predict[b, t]`: the token after t is a response token, and `targets` holds those in order."""

    ids: Tensor
    """[B, T] token ids"""
    positions: Tensor
    """[B, T] position of each token in its own branch"""
    mask: Tensor
    """[B, 1, T, T] True where a token may attend"""
    predict: Tensor
    """[B, T] True where the next token of the branch is to be learned"""
    targets: Tensor
    """[N] those next tokens, row by row"""

    @property
    def num_tokens(self) -> int:
        """Tokens without padding."""
        return int((self.positions > 0).sum()) + len(self.ids)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        return Batch(*(getattr(self, name).to(device) for name in Batch.__slots__))


def collate(packs: Sequence[Pack], pad_id: int) -> Batch:
    """Lay packs out as one batch; padding attends to itself alone and is never learned."""
    size = -(-max(map(len, packs)) // MULTIPLE) * MULTIPLE
    shape = (len(packs), size)
    ids, positions = torch.full(shape, pad_id), torch.zeros(shape, dtype=torch.long)
    branch, predict = torch.full(shape, -1), torch.zeros(shape, dtype=torch.bool)
    targets: list[int] = []
    for row, pack in enumerate(packs):
        start = len(pack.prefix)
        ids[row, :start] = torch.tensor(pack.prefix)
        positions[row, :start] = torch.arange(start)
        branch[row, :start] = 0
        at = start
        for number, one in enumerate(pack.branches, 1):
            tokens = one.prompt + one.response
            end = at + len(tokens)
            ids[row, at:end] = torch.tensor(tokens)
            positions[row, at:end] = torch.arange(start, start + len(tokens))
            branch[row, at:end] = number
            predict[row, at + len(one.prompt) - 1 : end - 1] = True
            targets += one.response
            at = end
    return Batch(ids, positions, _tree_mask(branch), predict, torch.tensor(targets))


def _tree_mask(branch: Tensor) -> Tensor:
    """[B, 1, T, T]: a token sees earlier tokens of its own branch and of the prefix (branch 0), and itself."""
    size = branch.shape[1]
    causal = torch.ones(size, size, dtype=torch.bool).tril()
    same = branch[:, :, None] == branch[:, None, :]
    prefix = (branch[:, None, :] == 0) & (branch[:, :, None] > 0)
    real = branch[:, None, :] >= 0
    return ((same | prefix) & real & causal | torch.eye(size, dtype=torch.bool))[:, None]


def micro_batches(items: Iterable[Item], max_tokens: int, at_least: int = 1) -> list[list[Item]]:
    """Items of like length together, at most `max_tokens` padded tokens in each micro-batch (one item at least).

    There are `at_least` of them, one for each process that shares a step, or as many as items where those are fewer.
    """
    batches: list[list[Item]] = []
    for one in sorted(items, key=len):
        if batches and (len(batches[-1]) + 1) * len(one) <= max_tokens:
            batches[-1].append(one)
        else:
            batches.append([one])
    while len(batches) < at_least and (largest := max(batches, key=len, default=[])) and len(largest) > 1:
        at, half = batches.index(largest), len(largest) // 2
        batches[at : at + 1] = [largest[:half], largest[half:]]
    return batches


def steps(
    items: Sequence[Item], items_a_step: int, max_tokens: int, epochs: float, rng: Random, processes: int = 1
) -> list[list[list[Item]]]:
    """The whole run: for each optimizer step its micro-batches; every epoch in a new order, of a part one a part."""
    plan = []
    for epoch in range(ceil(epochs)):
        order = list(items)
        rng.shuffle(order)
        order = order[: max(1, round(min(1.0, epochs - epoch) * len(order)))]
        some = [order[at : at + items_a_step] for at in range(0, len(order), items_a_step)]
        plan += [micro_batches(step, max_tokens, processes) for step in some]
    return plan
