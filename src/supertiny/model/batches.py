"""From token ids to batches: several answers behind one shared prefix.

Shapes: B packs, T tokens of the longest, N response tokens of the batch.

A pack is a small tree: one shared prefix and its branches, laid out in one row. Each branch sees the
prefix and itself, at the positions it would have alone, so its logits are those of the branch on its
own, while the prefix is computed once (forward and backward).
"""

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Any, TypeVar

import torch
from torch import Tensor

from supertiny.model.hardware import Keys, attend, attend_alone

MULTIPLE = 64
"""T is rounded up to it: few distinct shapes, so memory and compiled kernels are used again"""

Item = TypeVar("Item", bound=Sized)
"""anything whose length is its number of tokens"""


@dataclass(frozen=True, slots=True)
class Branch:
    """One query behind a shared prefix."""

    prompt: list[int]
    response: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


@dataclass(frozen=True, slots=True)
class Pack:
    """A shared prefix and the branches behind it."""

    prefix: list[int]
    branches: tuple[Branch, ...]

    def __len__(self) -> int:
        return len(self.prefix) + sum(map(len, self.branches))

    @property
    def num_responses(self) -> int:
        """Response tokens of all branches."""
        return sum(len(branch.response) for branch in self.branches)


@dataclass(frozen=True, slots=True)
class Tree:
    """How the tokens of packs attend: a prefix to itself, all that follows to the prefix in one product and to itself.

    What follows is cut into runs of whole branches, none longer than the longest branch, so that as rows of a batch
    they have little padding. Shapes: P tokens of the longest prefix, R runs, as many of each pack, of L tokens.
    """

    prefix: int
    """P"""
    seen: Tensor | None
    """[B, 1, P] True where a pack has a token of its prefix; None: everywhere"""
    runs: Tensor
    """[R, L] which of the batch's B T tokens a run is made of; behind its end any"""
    own: Tensor
    """[R, L, L] True where a token of a run sees another: itself and earlier ones of its branch"""
    places: Tensor
    """[B, T] where what a token reads stands, the prefixes' B P before the runs' R L"""

    def to(self, device: torch.device) -> "Tree":
        """The same tree on `device`."""
        seen = None if self.seen is None else self.seen.to(device)
        return Tree(self.prefix, seen, self.runs.to(device), self.own.to(device), self.places.to(device))

    def of_runs(self, tokens: Tensor) -> Tensor:
        """What is said of the batch's tokens [B, T] of those of the runs, [R, L]."""
        return tokens.flatten()[self.runs]

    def attend(self, block: Any, q: Tensor, k: Tensor, v: Tensor, scaling: float) -> Tensor:
        """What each token reads: q [B, H, T, D], k and v [B, K, T, D] -> [B, T, H, D]."""
        B, H, T, D = q.shape
        first, read = Prefix(self), list[Tensor]()
        if self.prefix:
            shared = (one[:, :, : self.prefix] for one in (q, k, v))
            read.append(first.attend(block, *shared, scaling).flatten(0, 1))  # type: ignore[call-arg,arg-type]  # three: q, k, v
        own = map(self._in_runs, (q, k, v))
        read.append(first.behind().attend(block, *own, scaling).flatten(0, 1))  # type: ignore[call-arg,arg-type]  # three too
        return torch.cat(read).index_select(0, self.places.flatten()).view(B, T, H, D)

    def _in_runs(self, tokens: Tensor) -> Tensor:
        """[B, heads, T, D] -> [R, heads, L, D]."""
        chosen = tokens.transpose(1, 2).flatten(0, 1).index_select(0, self.runs.flatten())
        return chosen.view(*self.runs.shape, *chosen.shape[1:]).transpose(1, 2)


class Prefix:
    """The prefixes of a batch, read by themselves; their keys and values are kept for the runs behind them."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._kept: dict[int, Keys] = {}

    def attend(self, block: Any, q: Tensor, k: Tensor, v: Tensor, scaling: float) -> Tensor:
        """What each token of a prefix reads: q [B, H, P, D], k and v [B, K, P, D] -> [B, P, H, D]."""
        self._kept[block.layer_idx] = Keys(k.transpose(0, 1), v.transpose(0, 1), self._tree.seen)
        return attend_alone(block, q, k, v, None, scaling)

    def behind(self) -> "Runs":
        """How the runs attend, after the model has read the prefixes."""
        return Runs(self._tree, self._kept)


@dataclass(frozen=True, slots=True)
class Runs:
    """How the runs of a tree attend to themselves and to prefixes that were read before, where there are any."""

    tree: Tree
    prefix: Mapping[int, Keys]
    """block -> keys and values"""

    def attend(self, block: Any, q: Tensor, k: Tensor, v: Tensor, scaling: float) -> Tensor:
        """What each token of a run reads: q [R, H, L, D], k and v [R, K, L, D] -> [R, L, H, D]."""
        parts = [Keys(k.transpose(0, 1), v.transpose(0, 1), self.tree.own)]
        if self.tree.prefix:
            parts.append(self.prefix[block.layer_idx])
        return attend(q, parts, scaling)


@dataclass(frozen=True, slots=True)
class Batch:
    """Packs as tensors. `predict[b, t]`: the token after t is a response token, and `targets` holds those in order."""

    ids: Tensor
    """[B, T] token ids"""
    positions: Tensor
    """[B, T] position of each token in its own branch"""
    branch: Tensor
    """[B, T] number of the branch that a token belongs to, from 1; 0: the prefix, -1: padding"""
    tree: Tree
    """who attends to whom"""
    predict: Tensor
    """[B, T] True where the next token of the branch is to be learned"""
    targets: Tensor
    """[N] those next tokens, row by row"""

    @property
    def num_tokens(self) -> int:
        """Tokens without padding."""
        return int((self.branch >= 0).sum())

    @property
    def mask(self) -> Tensor:
        """[B, 1, T, T] what `tree` says, for an attention that knows no trees: True where a token may attend.

        A token sees earlier tokens of its own branch and of the prefix, and itself; padding thus itself alone.
        """
        size, branch = self.branch.shape[1], self.branch
        causal = torch.ones(size, size, dtype=torch.bool, device=branch.device).tril()
        same = branch[:, :, None] == branch[:, None, :]
        prefix = (branch[:, None, :] == 0) & (branch[:, :, None] > 0)
        real = branch[:, None, :] >= 0
        itself = torch.eye(size, dtype=torch.bool, device=branch.device)
        return ((same | prefix) & real & causal | itself)[:, None]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        return Batch(*(getattr(self, name).to(device) for name in Batch.__slots__))


def collate(packs: Sequence[Pack], pad_id: int) -> Batch:
    """Lay packs out as one batch; what padding reads is nobody's, and it is never learned."""
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
    return Batch(ids, positions, branch, _tree(packs, branch), predict, torch.tensor(targets))


def _tree(packs: Sequence[Pack], branch: Tensor) -> Tree:
    """The tree of packs whose tokens [B, T] belong to these branches."""
    (B, T), P = branch.shape, max(len(pack.prefix) for pack in packs)
    L = max((len(one) for pack in packs for one in pack.branches), default=1)
    runs = [_runs(pack, L) for pack in packs]
    each = max(1, *map(len, runs))
    starts, places = torch.zeros(B, each, dtype=torch.long), torch.zeros(B, T, dtype=torch.long)
    for row, (pack, found) in enumerate(zip(packs, runs, strict=True)):
        places[row, : len(pack.prefix)] = row * P + torch.arange(len(pack.prefix))
        for number, (start, end) in enumerate(found):
            starts[row, number] = row * T + start
            places[row, start:end] = B * P + (row * each + number) * L + torch.arange(end - start)
    tokens = (starts.flatten()[:, None] + torch.arange(L)).clamp(max=B * T - 1)
    whose = branch.flatten()[tokens]
    own = (whose[:, :, None] == whose[:, None, :]).tril()
    seen = (branch[:, None, :P] == 0) if min(len(pack.prefix) for pack in packs) < P else None
    return Tree(P, seen, tokens, own, places)


def _runs(pack: Pack, most: int) -> list[tuple[int, int]]:
    """Where in its row each run of the pack's branches starts and ends: as many branches as `most` tokens hold."""
    found, at = list[tuple[int, int]](), len(pack.prefix)
    for one in pack.branches:
        start = found.pop()[0] if found and at + len(one) - found[-1][0] <= most else at
        at += len(one)
        found.append((start, at))
    return found


def together(packs: Sequence[Pack], max_tokens: int) -> list[list[int]]:
    """Which packs are computed as one: those of equal prefix, in their order, within `max_tokens` (one at least).

    >>> one, other = Pack([7, 8], (Branch([1], [2]),)), Pack([], (Branch([1], [2]),))
    >>> together([one, other, one, one], 6)
    [[0, 2], [1], [3]]
    """
    found: list[list[int]] = []
    last, room = dict[tuple[int, ...], list[int]](), dict[tuple[int, ...], int]()
    """prefix -> the last of those behind it, and what that one still holds"""
    for at, pack in enumerate(packs):
        key, own = tuple(pack.prefix), len(pack) - len(pack.prefix)
        if key not in last or own > room[key]:
            last[key], room[key] = [], max_tokens - len(key)
            found.append(last[key])
        last[key].append(at)
        room[key] -= own
    return found


def merged(packs: Sequence[Pack]) -> Pack:
    """Packs of equal prefix as one, in their order."""
    return Pack(packs[0].prefix, tuple(branch for pack in packs for branch in pack.branches))


def shared(packs: Sequence[Pack], max_tokens: int) -> list[Pack]:
    """The same branches in fewer packs, for what is read without a gradient: `together`, and merged."""
    return [merged([packs[at] for at in one]) for one in together(packs, max_tokens)]


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
