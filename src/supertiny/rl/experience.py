"""Replies to one prompt, ready to learn from: one pack a prompt, so that the prompt is computed once for all of them.

Shapes: N response tokens of the pack or batch, in the order of `collate`'s targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from supertiny.model.batches import Batch, Branch, Pack, collate
from supertiny.rl.loss import Rollout, joined


@dataclass(frozen=True, slots=True)
class Experience:
    """One prompt and the replies to it."""

    pack: Pack
    rollout: Rollout
    """[N]"""

    def __len__(self) -> int:
        return len(self.pack)


@dataclass(frozen=True, slots=True)
class RolloutBatch(Batch):
    """A batch whose every target comes with what is known of it."""

    rollout: Rollout
    """[N]"""

    def to(self, device: torch.device) -> "RolloutBatch":
        """The same batch on `device`."""
        moved = {name: getattr(self, name).to(device) for name in Batch.__slots__}
        return replace(self, **moved, rollout=self.rollout.to(device))


def reply_pack(prompt: Sequence[int], replies: Sequence[Sequence[int]]) -> Pack:
    """The prompt once, every reply a branch; the prompt's last token is each branch's own, for it predicts the first.

    >>> reply_pack([7, 8], [[1, 2], [3]])
    Pack(prefix=[7], branches=(Branch(prompt=[8], response=[1, 2]), Branch(prompt=[8], response=[3])))
    """
    return Pack(list(prompt[:-1]), tuple(Branch([prompt[-1]], list(reply)) for reply in replies))


def collate_experiences(found: Sequence[Experience], pad_id: int) -> RolloutBatch:
    """Experiences as one batch."""
    plain = collate([one.pack for one in found], pad_id)
    tensors = {name: getattr(plain, name) for name in Batch.__slots__}
    return RolloutBatch(**tensors, rollout=joined([one.rollout for one in found]))
