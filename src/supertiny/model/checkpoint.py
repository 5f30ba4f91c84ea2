"""Find, load and save models: Hugging Face folders of safetensors, always offline once they are here."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from supertiny.core.errors import UserError
from supertiny.model.quantized import load_quantized, recipe


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
    return lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]


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
    """sha256 of the id -> token map: two models may exchange logits only where it is equal (algorithms section 8)."""
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
