"""What of a model matters, measured in one pass over prompts, and leaving out the blocks and channels that do not.

Shapes: N real tokens of a batch, D channels of a module.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from tqdm import tqdm
from transformers import MistralConfig, MistralForCausalLM, PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.model.batches import Batch
from supertiny.model.hardware import hidden_states

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
        real_BT = here.branch >= 0
        handles = [module.register_forward_hook(_hook(see, real_BT), with_kwargs=True) for module, see in watched]
        try:
            hidden_states(model, here.ids, here.positions, here.tree)
        finally:
            for handle in handles:
                handle.remove()
        count += int(real_BT.sum())
    if not count:
        raise UserError("importance: there is no text to measure it on")
    return count


def _hook(see: See, real_BT: Tensor) -> Any:
    """A forward hook that shows a module's real tokens to `see`."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        before_BTD = args[0] if args else kwargs["hidden_states"]
        after_BTD = output[0] if isinstance(output, tuple) else output
        see(before_BTD[real_BT].float(), after_BTD[real_BT].float())

    return hook


class ChannelImportance:
    """CI = sqrt(sum over tokens of activation^2) a channel, of each norm's output, and of gate and up projections'.

    Each module's vector is divided by its 2-norm, so that none outweighs another, then they are summed: those of the
    hidden state over all blocks, those of the feed-forward over the two of a block, for channel 7 of one block has
    nothing to do with channel 7 of the next. The paper sums these over the blocks too; who asks for it does so later.

    `by_output`: those of the feed-forward by what they add to the hidden state instead, the activation between the
    projections times the norm of its column of the way out: a large one that is hardly read may go.
    """

    def __init__(self, model: PreTrainedModel, by_output: bool = False) -> None:
        blocks = model.base_model.layers
        self._norms = [norm for block in blocks for norm in _norms(block)]
        self._ways_out = {block.mlp.down_proj for block in blocks} if by_output else set[nn.Module]()
        self._ffns: list[tuple[nn.Module, ...]] = [
            (block.mlp.down_proj,) if by_output else (block.mlp.gate_proj, block.mlp.up_proj) for block in blocks
        ]
        self._squares: dict[nn.Module, Tensor] = {}
        self.watched: list[tuple[nn.Module, See]] = [
            (one, partial(self._see, one)) for one in chain(self._norms, *self._ffns)
        ]

    def _see(self, module: nn.Module, before_ND: Tensor, after_ND: Tensor) -> None:
        squares_D = (before_ND if module in self._ways_out else after_ND).double().square().sum(0).cpu()
        self._squares[module] = self._squares.get(module, 0) + squares_D

    def hidden(self) -> list[float]:
        """CI_embedding: one number a channel of the hidden state."""
        return self._summed(self._norms)

    def inter(self) -> list[list[float]]:
        """CI_inter: for every block, one number a channel between its feed-forward projections."""
        return [self._summed(one) for one in self._ffns]

    def _summed(self, modules: Iterable[nn.Module]) -> list[float]:
        roots = [self._squares[module].sqrt() * self._weight(module) for module in modules]
        return torch.stack([nn.functional.normalize(root_D, dim=0) for root_D in roots]).sum(0).tolist()

    def _weight(self, module: Any) -> Tensor | float:
        """What a channel's activation is multiplied by: of a way out the norm of its column."""
        return module.weight.detach().double().norm(dim=0).cpu() if module in self._ways_out else 1.0


def most_important_groups(scores: Sequence[float], granularity: int, num_kept: int) -> list[int]:
    """The `num_kept` channels, ascending, of the groups of `granularity` consecutive ones with the highest sums.

    Of equal sums the earlier group.

    >>> most_important_groups([0.1, 0.2, 0.5, 0.5, 0.3, 0.1], granularity=2, num_kept=4)
    [2, 3, 4, 5]
    """
    if granularity < 1 or len(scores) % granularity or num_kept % granularity:
        raise UserError(f"granularity: {granularity} does not divide {len(scores)} channels and the {num_kept} to keep")
    if not 0 < num_kept <= len(scores):
        raise UserError(f"cannot keep {num_kept} of {len(scores)} channels")
    starts = range(0, len(scores), granularity)
    best = sorted(starts, key=lambda start: -sum(scores[start : start + granularity]))[: num_kept // granularity]
    return [start + offset for start in sorted(best) for offset in range(granularity)]


def keep_channels(model: PreTrainedModel, hidden: Sequence[int], inter: Sequence[Sequence[int]]) -> None:
    """Leave `model`, in place, only these channels of the hidden state and of each block's feed-forward, ascending.

    The config follows. Attention heads stay, which is why it names `head_dim` from now on. A tied head stays tied.
    """
    config, embedding, head = model.config, model.get_input_embeddings(), model.get_output_embeddings()
    _must_be_channels("hidden", hidden, config.hidden_size)
    for kept in inter:
        _must_be_channels("inter", kept, config.intermediate_size)
    if len({len(kept) for kept in inter}) != 1 or len(inter) != len(model.base_model.layers):
        raise UserError(f"inter channels to keep: expected as many in each of {len(model.base_model.layers)} blocks")
    hidden_D = torch.tensor(hidden, device=embedding.weight.device)
    tied = head.weight is embedding.weight
    embedding.weight = _kept(embedding.weight, 1, hidden_D)
    embedding.embedding_dim = len(hidden)
    _cut(head, inputs=hidden_D)
    if tied:
        head.weight = embedding.weight
    for block, kept in zip(model.base_model.layers, inter, strict=True):
        _cut_block(block, hidden_D, torch.tensor(kept, device=hidden_D.device))
    model.base_model.norm.weight = _kept(model.base_model.norm.weight, 0, hidden_D)
    config.head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    config.hidden_size, config.intermediate_size = len(hidden), len(inter[0])


def loadable(model: PreTrainedModel) -> PreTrainedModel:
    """`model` as other programs can read it: where its architecture has no such shape, the same function in another.

    A Llama config is refused where the hidden size is no multiple of the number of heads, though `head_dim` says all
    there is to know. Mistral is the same network without that rule (and without a sliding window or biases here).
    """
    config = model.config
    if config.model_type != "llama" or config.hidden_size % config.num_attention_heads == 0:
        return model
    if config.attention_bias or config.mlp_bias:
        raise UserError(
            f"granularity.hidden: a Llama with biases and {config.num_attention_heads} heads cannot have the hidden "
            f"size {config.hidden_size}; take one that makes multiples of {config.num_attention_heads}"
        )
    own = {"model_type", "architectures", "attention_bias", "mlp_bias", "pretraining_tp", "transformers_version"}
    given = {key: value for key, value in config.to_dict().items() if key not in own}
    made = MistralForCausalLM(MistralConfig(**given, sliding_window=None)).to(model.device, model.dtype)
    made.load_state_dict(model.state_dict())
    made.generation_config = model.generation_config
    return made.eval()


def _norms(block: Any) -> tuple[Any, Any]:
    return block.input_layernorm, block.post_attention_layernorm


def _cut_block(block: Any, hidden_D: Tensor, inter_D: Tensor) -> None:
    for norm in _norms(block):
        norm.weight = _kept(norm.weight, 0, hidden_D)
    attention, mlp = block.self_attn, block.mlp
    for linear in (attention.q_proj, attention.k_proj, attention.v_proj):
        _cut(linear, inputs=hidden_D)
    _cut(attention.o_proj, outputs=hidden_D)
    _cut(mlp.gate_proj, inputs=hidden_D, outputs=inter_D)
    _cut(mlp.up_proj, inputs=hidden_D, outputs=inter_D)
    _cut(mlp.down_proj, inputs=inter_D, outputs=hidden_D)
    block.hidden_size = mlp.hidden_size = len(hidden_D)
    mlp.intermediate_size = len(inter_D)


def _cut(linear: nn.Linear, inputs: Tensor | None = None, outputs: Tensor | None = None) -> None:
    if inputs is not None:
        linear.weight = _kept(linear.weight, 1, inputs)
    if outputs is not None:
        linear.weight = _kept(linear.weight, 0, outputs)
        if linear.bias is not None:
            linear.bias = _kept(linear.bias, 0, outputs)
    linear.out_features, linear.in_features = linear.weight.shape


def _kept(weight: Tensor, dim: int, kept_D: Tensor) -> nn.Parameter:
    return nn.Parameter(weight.detach().index_select(dim, kept_D))


def _must_be_channels(name: str, kept: Sequence[int], size: int) -> None:
    if not kept or list(kept) != sorted(set(kept)) or not 0 <= kept[0] <= kept[-1] < size:
        raise UserError(f"{name} channels to keep: expected ascending numbers from 0 to {size - 1}, got {list(kept)}")


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


@dataclass(frozen=True, slots=True)
class Importance:
    """Scores of one model; higher is more important."""

    layers: list[float]
    """LI of every block"""
    hidden: list[float]
    """CI_embedding of every channel of the hidden state"""
    inter: list[list[float]]
    """CI_inter of every channel between the feed-forward projections, for every block"""
    tokens: int
    """real tokens they were measured on"""


def measure(model: PreTrainedModel, batches: Iterable[Batch], by_output: bool = False) -> Importance:
    """All scores of `model` in one pass over `batches`; `by_output`: see `ChannelImportance`."""
    layers, channels = LayerImportance(model), ChannelImportance(model, by_output)
    tokens = observe(model, batches, [*layers.watched, *channels.watched])
    return Importance(layers.scores(tokens), channels.hidden(), channels.inter(), tokens)
