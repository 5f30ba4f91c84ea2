"""Depth pruning: leave out the blocks that change the hidden state least (paper App. I).

Shapes: N real tokens of a batch, D channels.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.model.batches import Batch
from supertiny.prune.calibration import See, observe


class LayerImportance:
    """LI_i = 1 - mean cos(input of block i, output of block i), in fp32, over all real tokens that were observed."""

    def __init__(self, model: PreTrainedModel) -> None:
        blocks = model.base_model.layers
        self._sums = [0.0] * len(blocks)
        self.watched: list[tuple[nn.Module, See]] = [(one, partial(self._see, at)) for at, one in enumerate(blocks)]

    def _see(self, index: int, before_ND: Tensor, after_ND: Tensor) -> None:
        self._sums[index] += float(cosine_similarity(before_ND, after_ND, dim=-1).double().sum())

    def scores(self, num_tokens: int) -> list[float]:
        """One number a block, in [0, 2]: 0 where the block only scales its input."""
        return [1 - total / num_tokens for total in self._sums]


def layer_importance(model: PreTrainedModel, batches: Iterable[Batch]) -> list[float]:
    """`LayerImportance` alone, measured on `batches`."""
    layers = LayerImportance(model)
    return layers.scores(observe(model, batches, layers.watched))


def least_important(scores: Sequence[float], num: int) -> list[int]:
    """The `num` blocks of the lowest score, in ascending order; of equal scores the earlier block.

    >>> least_important([0.5, 0.1, 0.3, 0.1], 2)
    [1, 3]
    """
    if not 0 <= num < len(scores):
        raise UserError(f"cannot drop {num} of {len(scores)} blocks; at least one must stay")
    return sorted(sorted(range(len(scores)), key=lambda i: scores[i])[:num])


def keep_layers(model: PreTrainedModel, kept: Sequence[int]) -> None:
    """Leave `model`, in place, only the blocks `kept` (ascending numbers); the config follows."""
    layers, config = model.base_model.layers, model.config
    if not kept or list(kept) != sorted(set(kept)) or not 0 <= kept[0] <= kept[-1] < len(layers):
        raise UserError(f"blocks to keep: expected ascending numbers from 0 to {len(layers) - 1}, got {list(kept)}")
    model.base_model.layers = nn.ModuleList(layers[i] for i in kept)
    for index, block in enumerate(model.base_model.layers):
        block.self_attn.layer_idx = index  # the block's place in the key-value cache
    config.num_hidden_layers = len(kept)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[i] for i in kept]
    if hasattr(config, "max_window_layers"):
        # Qwen2: the first so many blocks attend to everything
        config.max_window_layers = sum(i < config.max_window_layers for i in kept)
