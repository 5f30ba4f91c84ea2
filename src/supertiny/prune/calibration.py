"""A pass over calibration text that looks into a model: what its modules read and make of every token.

Shapes: B packs, T tokens of the longest, N real tokens of a batch, D channels.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.model.batches import Batch

See = Callable[[Tensor, Tensor], None]
"""(what a module read, what it made of it), both [N, D] in fp32"""


@torch.inference_mode()
def observe(model: PreTrainedModel, batches: Iterable[Batch], watched: Sequence[tuple[nn.Module, See]]) -> int:
    """Run the base model over `batches`, show each watched module's real tokens to its `See`; how many there were.

    A token of a prefix that branches share counts once, padding never. The model must be in evaluation mode.
    """
    count = 0
    for batch in tqdm(batches, desc="importance", unit="batch"):
        here = batch.to(model.device)
        real_BT = _real(here)
        handles = [module.register_forward_hook(_hook(see, real_BT), with_kwargs=True) for module, see in watched]
        try:
            model.base_model(input_ids=here.ids, attention_mask=here.mask, position_ids=here.positions, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        count += int(real_BT.sum())
    if not count:
        raise UserError("importance: there is no text to measure it on")
    return count


def _real(batch: Batch) -> Tensor:
    """[B, T] True for tokens that are no padding: position 0 is a pack's first token, or padding."""
    real_BT = batch.positions > 0
    real_BT[:, 0] = True
    return real_BT


def _hook(see: See, real_BT: Tensor) -> Any:
    """A forward hook that shows a module's real tokens to `see`."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        before_BTD = args[0] if args else kwargs["hidden_states"]
        after_BTD = output[0] if isinstance(output, tuple) else output
        see(before_BTD[real_BT].float(), after_BTD[real_BT].float())

    return hook
