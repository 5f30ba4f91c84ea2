"""Depth pruning: leave out the blocks that change the hidden state least (paper App. I)."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from tqdm import tqdm
from transformers import PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.model.batches import Batch


@torch.inference_mode()
def layer_importance(model: PreTrainedModel, batches: Iterable[Batch]) -> list[float]:
    """LI_i = 1 - mean cos(input of block i, output of block i), in fp32, over all unpadded tokens of `batches`.

    One number a block, in [0, 2]: 0 where the block only scales its input. The base model must be in evaluation mode.
    """
    sums = [0.0] * len(model.base_model.layers)
    count = 0
    for batch in tqdm(batches, desc="layer importance", unit="batch"):
        here = batch.to(model.device)
        real = _real(here)
        handles = [
            block.register_forward_hook(_adder(sums, index, real), with_kwargs=True)
            for index, block in enumerate(model.base_model.layers)
        ]
        try:
            model.base_model(input_ids=here.ids, attention_mask=here.mask, position_ids=here.positions, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        count += int(real.sum())
    if not count:
        raise UserError("layer importance: there is no text to measure it on")
    return [1 - total / count for total in sums]


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


def _real(batch: Batch) -> Tensor:
    """[B, T] True for tokens that are no padding: position 0 is a pack's first token, or padding."""
    real = batch.positions > 0
    real[:, 0] = True
    return real


def _adder(sums: list[float], index: int, real_BT: Tensor) -> Any:
    """A forward hook that adds the cosines of one block's real tokens to `sums[index]`."""

    def add(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        before_BTD = args[0] if args else kwargs["hidden_states"]
        after_BTD = output[0] if isinstance(output, tuple) else output
        cosines_BT = cosine_similarity(before_BTD.float(), after_BTD.float(), dim=-1)
        sums[index] += float(cosines_BT[real_BT].double().sum())

    return add
