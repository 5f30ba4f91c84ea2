"""A checkpoint as OpenVINO reads it: the network traced once, its keys and values as state; kept by content.

The usual exporter (optimum-intel) holds transformers below what GPTQModel needs, and the GGUF reader of OpenVINO GenAI
takes no float32. So the network is traced as it stands, with keys and values as inputs and outputs, and each such pair
becomes a variable: the form in which GenAI finds the attention that it replaces by a paged one.

Shapes: B rows, T new tokens, S tokens in all, V vocabulary, K key heads, D dimensions of a head.
"""

import warnings
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from filelock import FileLock
from openvino import opset13 as op
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from openvino_tokenizers import convert_tokenizer
from torch import Tensor, nn
from transformers import PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.core.files import digest, whole_folder
from supertiny.core.resume import cache_home
from supertiny.model import checkpoint
from supertiny.model.quantized import E4M3Linear

KINDS = ("llama", "mistral", "qwen2")
"""model types that are tested here"""
MAKERS = ("openvino", "openvino-tokenizers", "torch", "transformers")
"""packages whose versions make a representation what it is"""


def converted(model: Path) -> Path:
    """The folder that GenAI opens for the checkpoint `model`; made at the first call, found at every later one."""
    key = digest(model, [version(maker) for maker in MAKERS], Path(__file__))
    folder = cache_home() / "openvino" / key[:24]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            with whole_folder(folder) as partial:
                _write(model, partial)
    return folder


def _write(model: Path, folder: Path) -> None:
    """Network and tokenizer; the latter only tells the engine's grammars what each token spells."""
    loaded = checkpoint.load_model(model)
    _must_be_known(loaded, model)
    openvino.save_model(
        _stateful(_traced(loaded), loaded.config), folder / "openvino_model.xml", compress_to_fp16=False
    )
    for name, part in zip(
        ("openvino_tokenizer", "openvino_detokenizer"),
        convert_tokenizer(checkpoint.load_tokenizer(model), with_detokenizer=True),
        strict=True,
    ):
        openvino.save_model(part, folder / f"{name}.xml")


class _Past:
    """Keys and values of every layer, as the blocks of a transformers model ask a cache for them."""

    def __init__(self, past: list[tuple[Tensor, Tensor]]) -> None:
        self.layers = past

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """The layer's keys and values [B, K, S, D], the new ones behind those of before."""
        before = self.layers[layer]
        self.layers[layer] = torch.cat((before[0], keys), 2), torch.cat((before[1], values), 2)
        return self.layers[layer]


class _Step(nn.Module):
    """A forward pass that takes its past and gives it back."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor, positions: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """[B, T], [B, S], [B, T], keys and values [B, K, S-T, D] in turn -> logits [B, T, V], keys and values."""
        num_new, num_all = ids.shape[1], mask.shape[1]
        causal_TS = torch.arange(num_all) <= (torch.arange(num_new) + (num_all - num_new))[:, None]
        known = _Past(list(zip(past[::2], past[1::2], strict=True)))
        hidden = self.model.base_model(
            ids,
            attention_mask=causal_TS[None, None] & mask[:, None, None].bool(),
            position_ids=positions,
            past_key_values=known,
            use_cache=True,
        ).last_hidden_state
        return self.model.get_output_embeddings()(hidden), *chain.from_iterable(known.layers)


def _traced(model: PreTrainedModel) -> Any:
    """`_Step` as an OpenVINO model, any number of rows and tokens; `openvino.convert_model` would also report home."""
    ids, mask = torch.ones(2, 4, dtype=torch.long), torch.ones(2, 7, dtype=torch.long)
    layers, heads, size = _sizes(model.config)
    past = [torch.zeros(2, heads, 3, size) for _ in range(2 * layers)]
    frontend = FrontEndManager().load_by_framework("pytorch")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, of Python conditions that are the same for every input here
        decoder = TorchScriptPythonDecoder(_Step(model), example_input=(ids, mask, mask.cumsum(1)[:, 3:] - 1, *past))
        return frontend.convert(frontend.load(decoder))


def _stateful(traced: Any, config: Any) -> Any:
    """The past as variables that start empty; `beam_idx` is part of the form, though nobody searches beams here."""
    ids, mask, positions, *past = traced.get_parameters()
    logits, *present = traced.get_results()
    beams = op.parameter([-1], openvino.Type.i32)
    for node, name in ((ids, "input_ids"), (mask, "attention_mask"), (positions, "position_ids")):
        node.set_element_type(openvino.Type.i64)
        node.set_partial_shape(openvino.PartialShape([-1, -1]))
        node.output(0).get_tensor().set_names({name})
    beams.output(0).get_tensor().set_names({"beam_idx"})
    logits.output(0).get_tensor().set_names({"logits"})
    _, heads, size = _sizes(config)
    rows = op.gather(op.shape_of(ids), op.constant([0]), op.constant(0))
    empty = op.broadcast(op.constant(np.float32(0)), op.concat([rows, op.constant([heads, 0, size])], 0))
    written = []
    for at, (before, after) in enumerate(zip(past, present, strict=True)):
        name = f"past_key_values.{at // 2}.{('key', 'value')[at % 2]}"
        read = op.read_value(empty, name, openvino.Type.f32, openvino.PartialShape([-1, heads, -1, size]))
        chosen = op.gather(read, beams, op.constant(0))
        for user in before.output(0).get_target_inputs():
            user.replace_source_output(chosen.output(0))
        written.append(op.assign(after.input_value(0).get_node(), name))
    return openvino.Model([logits], written, [ids, mask, positions, beams])


def _sizes(config: Any) -> tuple[int, int, int]:
    """Layers, key heads, dimensions of a head."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, config.num_key_value_heads, size


def _must_be_known(model: PreTrainedModel, folder: Path) -> None:
    config = model.config
    if config.model_type not in KINDS or getattr(config, "sliding_window", None) is not None:
        kinds = ", ".join(KINDS)
        raise UserError(f"{folder}: engine 'openvino' runs {kinds} models without a sliding window; take 'native'")
    if any(isinstance(one, E4M3Linear) for one in model.modules()):
        raise UserError(f"{folder}: engine 'openvino' has no FP8 arithmetic on CPUs; take 'native', or a float model")
