"""Find, load and save models: Hugging Face folders of safetensors, always offline once they are here."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from supertiny.core.errors import UserError
from supertiny.core.files import read_json

RECIPE = "quantization_config"
"""key of config.json, as every reader of such folders knows it"""
E4M3_MAX = 448.0
FORMATS = ("pack-quantized", "float-quantized")
"""of compressed-tensors"""


@dataclass(frozen=True, slots=True)
class Dense:
    """What the tensors of a quantized folder stand for."""

    weights: dict[str, Tensor]
    """by the names that a float model has; what was quantized is float32"""
    layers: tuple[str, ...]
    """names of the layers that were quantized"""
    scales: dict[str, Tensor]
    """[O, 1] of the layers that quantize their inputs too; empty where activations stay as they are"""


class E4M3Linear(nn.Linear):
    """A linear layer that multiplies E4M3 codes, of its weights and, token by token, of its inputs; then scales them.

    float32 and bfloat16 hold every E4M3 number, so only the sum's last digits can differ from an FP8 kernel's.
    """

    def __init__(self, layer: nn.Linear, weight_OI: Tensor, scale_O1: Tensor) -> None:
        super().__init__(weight_OI.shape[1], weight_OI.shape[0], bias=False, device="meta")
        codes_OI = (weight_OI / scale_O1).to(torch.float8_e4m3fn).to(layer.weight.dtype)
        self.weight, self.bias = nn.Parameter(codes_OI, requires_grad=False), layer.bias
        self.register_buffer("scale_O", scale_O1.float().flatten(), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """[..., I] -> [..., O], in the input's format."""
        codes, scale = to_e4m3(input.float())
        sums = nn.functional.linear(codes.to(self.weight.dtype), self.weight).float() * scale * self.scale_O
        return (sums if self.bias is None else sums + self.bias.float()).to(input.dtype)


def to_e4m3(x_TI: Tensor) -> tuple[Tensor, Tensor]:
    """Each token's codes [T, I] and its scale [T, 1], which takes the largest of its numbers to 448.

    >>> codes, scale = to_e4m3(torch.tensor([[448.0, 1.0, 17.0], [0.0, 0.0, 0.0]]))  # 3 bits: 16, 18, 20, ...
    >>> codes.float().tolist(), scale.tolist()
    ([[448.0, 1.0, 16.0], [0.0, 0.0, 0.0]], [[1.0], [1.0]])
    """
    scale_T1 = x_TI.abs().amax(-1, keepdim=True) / E4M3_MAX
    scale_T1 = torch.where(scale_T1 == 0, 1.0, scale_T1)
    return (x_TI / scale_T1).clamp(-E4M3_MAX, E4M3_MAX).to(torch.float8_e4m3fn), scale_T1


def recipe(folder: Path) -> dict[str, Any] | None:
    """How the model in `folder` was quantized, from its config.json; None: it was not."""
    return read_json(folder / "config.json").get(RECIPE)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All weights of `folder`, as they are stored."""
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def load_quantized(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The causal language model of a quantized `folder`, in ordinary layers; its config says no more of quantization.

    `dtype` is that of weights and activations, as with a float model.
    """
    dense = dequantized(folder)
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    delattr(config, RECIPE)
    model, loaded = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].from_pretrained(
        None,
        config=config,
        state_dict=dict(dense.weights),
        dtype=dtype,
        attn_implementation="sdpa",
        output_loading_info=True,
    )
    if missing := sorted(loaded["missing_keys"]):
        raise UserError(f"{folder}: has no weights for {', '.join(missing[:3])}; quantize the model again")
    for name, scale in dense.scales.items():
        model.set_submodule(name, E4M3Linear(model.get_submodule(name), dense.weights[f"{name}.weight"], scale))
    return model


def dequantized(folder: Path) -> Dense:
    """The weights of a quantized `folder` as floats."""
    how = recipe(folder) or {}
    method = how.get("quant_method")
    if method not in METHODS:
        raise UserError(
            f"{folder}: config.json: {RECIPE}: {method!r} cannot be read here (only {' and '.join(METHODS)}); "
            "take the float model"
        )
    return METHODS[method](folder, how, read_tensors(folder))


def _compressed(folder: Path, how: dict[str, Any], tensors: dict[str, Tensor]) -> Dense:
    """A compressed-tensors folder with one scheme for all layers."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme

    parsed = QuantizationConfig.model_validate(how)
    schemes: list[QuantizationScheme] = list(parsed.config_groups.values())
    acts = schemes[0].input_activations
    known = acts is None or (acts.type, acts.num_bits, acts.strategy, acts.dynamic) == ("float", 8, "token", True)
    if len(schemes) > 1 or parsed.format not in FORMATS or parsed.kv_cache_scheme or not known:
        raise UserError(
            f"{folder}: config.json: {RECIPE}: expected one scheme of format {' or '.join(FORMATS)} with float or "
            "dynamic per-token E4M3 activations; take the float model"
        )
    compressor = BaseCompressor.get_value_from_registry(parsed.format)
    names, scales = tuple(_named(tensors, ".weight_scale")), dict[str, Tensor]()
    for name in names:
        parts = {part: tensors.pop(f"{name}.{part}") for part in compressor.compression_param_names(schemes[0])}
        parts["weight_scale"] = parts["weight_scale"].float()
        tensors[f"{name}.weight"] = compressor.decompress(parts, schemes[0])["weight"]
        if acts is not None:
            scales[name] = parts["weight_scale"]
    return Dense(tensors, names, scales)


def _gptq(folder: Path, how: dict[str, Any], tensors: dict[str, Tensor]) -> Dense:
    """A GPTQ folder of 4 bits."""
    if how.get("bits") != 4 or how.get("checkpoint_format", "gptq") != "gptq":
        raise UserError(f"{folder}: config.json: {RECIPE}: expected GPTQ of 4 bits; take the float model")
    names = tuple(_named(tensors, ".qweight"))
    for name in names:
        parts = {part: tensors.pop(f"{name}.{part}") for part in ("qweight", "qzeros", "scales", "g_idx")}
        tensors[f"{name}.weight"] = gptq_weight(parts)
    return Dense(tensors, names, {})


def gptq_weight(parts: Mapping[str, Tensor]) -> Tensor:
    """[O, I]: scale * (code - zero), eight codes to a word: of inputs in qweight, of outputs in qzeros (less one)."""
    shifts = torch.arange(0, 32, 4, dtype=torch.int32)
    codes_IO = (parts["qweight"][:, None] >> shifts[:, None] & 15).flatten(0, 1)
    zeros_GO = (parts["qzeros"][..., None] >> shifts & 15).flatten(1) + 1
    group_I = parts["g_idx"].long()
    return ((codes_IO - zeros_GO[group_I]) * parts["scales"].float()[group_I]).T.contiguous()


def _named(tensors: Mapping[str, Tensor], ending: str) -> Iterator[str]:
    """Layers that have a tensor of this name."""
    return (name.removesuffix(ending) for name in sorted(tensors) if name.endswith(ending))


METHODS = {"compressed-tensors": _compressed, "gptq": _gptq}


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The causal language model of `folder`, in evaluation mode; a quantized one in layers that every CPU can run."""
    _must_be_model(folder)
    try:
        if recipe(folder) is not None:
            model = load_quantized(folder, dtype)
        else:
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, local_files_only=True, attn_implementation="sdpa"
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot be loaded as a causal language model: {error}") from error
    model.generation_config = GenerationConfig()  # a folder's own may punish repetition, so the copying of arguments
    return model.eval()


def encoder(tokenizer: PreTrainedTokenizerBase) -> Callable[[str], list[int]]:
    """Text -> token ids, nothing added; the one way that prompts and answers become tokens."""
    spelt(tokenizer, "")  # the first text may change the tokenizer, which no two threads may do at once
    return lambda text: spelt(tokenizer, text)["input_ids"]


def spelt(tokenizer: PreTrainedTokenizerBase, text: str, **more: bool) -> Any:
    """The tokenizer's own answer: a text that spells a control token is text, for it is a user who wrote it.

    What `more` asks for beside the ids (`return_offsets_mapping`) is in it.
    """
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True, **more)


def defused(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A text as long, with a space where it spells a control token: for encoders, which read with these on."""
    specials = sorted(token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return re.sub(f"(?={'|'.join(map(re.escape, specials))}).", " ", text, flags=re.DOTALL) if specials else text


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of `folder`."""
    _must_be_model(folder)
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder}: its tokenizer cannot be loaded: {error}") from error


def load_config(folder: Path) -> AutoConfig:
    """The architecture of `folder`, without its weights."""
    _must_be_model(folder)
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder}: its config.json cannot be read: {error}") from error


def positions(config: AutoConfig) -> int:
    """How many tokens a model reads, of prompt and answer: within a sliding window, if it has one, all see all."""
    window = getattr(config, "sliding_window", None) or config.max_position_embeddings
    return int(min(window, config.max_position_embeddings))


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights and tokenizer into `folder`, with no trace of when or where they were made."""
    model.save_pretrained(folder)
    _drop(folder / "config.json", "_name_or_path", "_model_name_or_path")
    save_tokenizer(tokenizer, folder)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """The same of the tokenizer alone."""
    tokenizer.save_pretrained(folder)
    _drop(folder / "tokenizer_config.json", "is_local", "local_files_only")


def tokenizer_identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """sha256 of the id -> token map: two models may exchange logits only where it is equal."""
    tokens = sorted((index, token) for token, index in tokenizer.get_vocab().items())
    return sha256(json.dumps(tokens, ensure_ascii=False).encode()).hexdigest()


def _drop(path: Path, *keys: str) -> None:
    """Leave `keys` out of a file of JSON, where there is one."""
    if path.is_file():
        kept = {key: value for key, value in json.loads(path.read_text()).items() if key not in keys}
        path.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _must_be_model(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: there is no model here (no config.json); run the stage that makes it (`dvc repro`)")
