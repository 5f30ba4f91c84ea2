"""Llama, Mistral and Qwen2 in OpenVINO's operations, as GenAI wants them.

Past keys and values are variables that start empty, and `beam_idx` chooses among their rows: in this form GenAI finds
the attention, which it replaces by a paged one; the mask and the choice of rows then go with it.

Shapes: B rows, T new tokens, S tokens in all, V vocabulary, H hidden, N heads, K key heads, D dimensions of a head.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from openvino import opset13 as op
from torch import Tensor
from transformers import PreTrainedModel

from supertiny.model.checkpoint import read_tensors, recipe


@dataclass(frozen=True, slots=True)
class Codes:
    """One layer's weights: code times the scale of its group."""

    codes_OGI: Tensor
    """[O, G, I / G] int8"""
    scale_OG1: Tensor
    """[O, G, 1] float32"""

    @property
    def bits(self) -> int:
        """That hold every code: 4 or 8."""
        least, most = self.codes_OGI.aminmax()
        return 4 if least >= -8 and most <= 7 else 8


def codes(folder: Path, weights: Mapping[str, Tensor]) -> dict[str, Codes]:
    """By name, of the layers of `folder` whose `weights`, as floats, are whole multiples of their scales.

    Others (a float model's, or groups in another order) are left out, and stay floats.
    """
    if recipe(folder) is None:
        return {}
    stored, found = read_tensors(folder), {}
    for name in (name.removesuffix(".weight") for name in weights):
        scale = stored.get(f"{name}.weight_scale")
        if (other := stored.get(f"{name}.scales")) is not None:  # GPTQ stores [G, O]
            scale = other.T
        if scale is not None and (one := _codes(weights[f"{name}.weight"], scale.float())) is not None:
            found[name] = one
    return found


def _codes(weight_OI: Tensor, scale_OG: Tensor) -> Codes | None:
    apart = weight_OI.float().reshape(*scale_OG.shape, -1)
    scale = scale_OG[..., None].contiguous()
    made = (apart / scale).round()
    if not torch.equal(made * scale, apart) or made.min() < -128 or made.max() > 127:
        return None
    return Codes(made.to(torch.int8), scale)


END = np.iinfo(np.int64).max
"""of a slice to the last element"""


def network(model: PreTrainedModel, codes: Mapping[str, Codes]) -> Any:
    """The forward pass of `model` as an OpenVINO model: input_ids, attention_mask, position_ids, beam_idx -> logits.

    Weights of the layers that are named in `codes` are stored as such.
    """
    return _Builder(model, codes).built()


class _Builder:
    """What the blocks share while they are written down."""

    def __init__(self, model: PreTrainedModel, codes: Mapping[str, Codes]) -> None:
        self.config: Any = model.config
        self._codes = codes
        self._tensors = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
        self._head_size = (
            getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads
        )
        self._ids, self._mask, self._positions = (
            _parameter(name, [-1, -1], openvino.Type.i64) for name in ("input_ids", "attention_mask", "position_ids")
        )
        self._beams = _parameter("beam_idx", [-1], openvino.Type.i32)
        self._written: list[Any] = []
        """assignments of the variables"""
        rotary = model.base_model.rotary_emb
        self._cos, self._sin = self._rotation(rotary.inv_freq.numpy(), rotary.attention_scaling)
        self._seen = self._seen_tokens()

    def built(self) -> Any:
        """The whole of it."""
        embedding = op.constant(self._tensors["model.embed_tokens.weight"])
        hidden = op.gather(embedding, self._ids, op.constant(0))
        for layer in range(self.config.num_hidden_layers):
            block = f"model.layers.{layer}"
            hidden = op.add(hidden, self._attention(self._norm(hidden, f"{block}.input_layernorm"), layer))
            hidden = op.add(hidden, self._mlp(self._norm(hidden, f"{block}.post_attention_layernorm"), f"{block}.mlp"))
        tied = self.config.tie_word_embeddings
        head = embedding if tied else op.constant(self._tensors["lm_head.weight"])
        logits = op.result(op.matmul(self._norm(hidden, "model.norm"), head, False, True))
        logits.output(0).get_tensor().set_names({"logits"})
        return openvino.Model([logits], self._written, [self._ids, self._mask, self._positions, self._beams])

    def _norm(self, x_BTH: Any, name: str) -> Any:
        """x / sqrt(mean of x^2 + eps) * weight."""
        mean = op.reduce_mean(op.power(x_BTH, _number(2)), op.constant([-1]), keep_dims=True)
        scale = op.divide(_number(1), op.sqrt(op.add(mean, _number(self.config.rms_norm_eps))))
        return op.multiply(op.constant(self._tensors[f"{name}.weight"]), op.multiply(x_BTH, scale))

    def _linear(self, x: Any, name: str) -> Any:
        product = op.matmul(x, self._weight(name), False, True)
        bias = self._tensors.get(f"{name}.bias")
        return product if bias is None else op.add(product, op.constant(bias))

    def _weight(self, name: str) -> Any:
        """[O, I], as it is or as what its codes stand for."""
        if name not in self._codes:
            return op.constant(self._tensors[f"{name}.weight"])
        one = self._codes[name]
        kind = openvino.Type.i4 if one.bits == 4 else openvino.Type.i8
        stored = op.constant(one.codes_OGI.numpy(), dtype=kind)
        groups = op.multiply(op.convert(stored, "f32"), op.constant(one.scale_OG1.numpy()))
        return op.reshape(groups, op.constant(list(self._tensors[f"{name}.weight"].shape)), special_zero=False)

    def _mlp(self, x_BTH: Any, name: str) -> Any:
        gate = op.swish(self._linear(x_BTH, f"{name}.gate_proj"))
        return self._linear(op.multiply(gate, self._linear(x_BTH, f"{name}.up_proj")), f"{name}.down_proj")

    def _attention(self, x_BTH: Any, layer: int) -> Any:
        name, heads, groups = (
            f"model.layers.{layer}.self_attn",
            self.config.num_attention_heads,
            self.config.num_key_value_heads,
        )
        q_BNTD = self._rotated(self._heads(x_BTH, f"{name}.q_proj", heads))
        keys = self._remembered(self._rotated(self._heads(x_BTH, f"{name}.k_proj", groups)), f"key.{layer}")
        values = self._remembered(self._heads(x_BTH, f"{name}.v_proj", groups), f"value.{layer}")
        scale = _number(self._head_size**-0.5)
        read = op.scaled_dot_product_attention(q_BNTD, self._for_all(keys), self._for_all(values), self._seen, scale)
        joined = op.reshape(op.transpose(read, op.constant([0, 2, 1, 3])), op.constant([0, 0, -1]), special_zero=True)
        return self._linear(joined, f"{name}.o_proj")

    def _heads(self, x_BTH: Any, name: str, heads: int) -> Any:
        """[B, heads, T, D]."""
        apart = op.reshape(self._linear(x_BTH, name), op.constant([0, 0, heads, self._head_size]), special_zero=True)
        return op.transpose(apart, op.constant([0, 2, 1, 3]))

    def _remembered(self, new_BKTD: Any, name: str) -> Any:
        """[B, K, S, D]: behind what the variable `name` holds, which then holds both."""
        shape, kind = (
            openvino.PartialShape([-1, self.config.num_key_value_heads, -1, self._head_size]),
            openvino.Type.f32,
        )
        rows = op.gather(op.shape_of(self._ids), op.constant([0]), op.constant(0))
        sizes = op.concat([rows, op.constant([self.config.num_key_value_heads, 0, self._head_size])], 0)
        before = op.read_value(op.broadcast(_number(0), sizes), name, kind, shape)
        both = op.concat([op.gather(before, self._beams, op.constant(0)), new_BKTD], 2)
        self._written.append(op.assign(both, name))
        return both

    def _for_all(self, x_BKSD: Any) -> Any:
        """[B, N, S, D]: each key head for all the heads that share it."""
        shared = self.config.num_attention_heads // self.config.num_key_value_heads
        if shared == 1:
            return x_BKSD
        copied = op.broadcast(
            op.unsqueeze(x_BKSD, op.constant(2)), op.constant([1, 1, shared, 1, 1]), broadcast_spec="BIDIRECTIONAL"
        )
        return op.reshape(
            copied, op.constant([0, self.config.num_attention_heads, -1, self._head_size]), special_zero=True
        )

    def _rotation(self, inverse_frequencies: Any, scaling: float) -> list[Any]:
        """Cosine and sine [B, 1, T, D] of each position's angles, those of the first half of a head twice."""
        positions = op.convert(op.unsqueeze(self._positions, op.constant(2)), "f32")
        half = op.multiply(positions, op.constant(inverse_frequencies[None, None]))
        angles = op.concat([half, half], -1)
        turned: list[Callable[[Any], Any]] = [op.cos, op.sin]
        parts = [turn(angles) if scaling == 1 else op.multiply(turn(angles), _number(scaling)) for turn in turned]
        return [op.unsqueeze(part, op.constant(1)) for part in parts]

    def _rotated(self, x: Any) -> Any:
        """The halves of each head as the two axes of a turn."""
        middle, one, last = op.constant([self._head_size // 2]), op.constant([1]), op.constant([3])
        second = op.multiply(op.slice(x, middle, op.constant([END]), one, last), _number(-1))
        swapped = op.concat([second, op.slice(x, op.constant([0]), middle, one, last)], -1)
        return op.add(op.multiply(x, self._cos), op.multiply(swapped, self._sin))

    def _seen_tokens(self) -> Any:
        """[B, 1, T, S]: a token sees itself and what is before it, unless that is padding."""
        new, all_ = (op.gather(op.shape_of(one), op.constant(1), op.constant(0)) for one in (self._ids, self._mask))
        step = op.constant(1)
        keys, rows = op.range(op.constant(0), all_, step, "i64"), op.range(op.subtract(all_, new), all_, step, "i64")
        causal_TS = op.less_equal(keys, op.unsqueeze(rows, op.constant(1)))
        real_B11S = op.unsqueeze(op.convert(self._mask, "boolean"), op.constant([1, 2]))
        return op.logical_and(causal_TS, real_B11S)


def _parameter(name: str, shape: list[int], kind: Any) -> Any:
    made = op.parameter(shape, kind, name=name)
    made.output(0).get_tensor().set_names({name})
    return made


def _number(value: float) -> Any:
    return op.constant(np.float32(value))
