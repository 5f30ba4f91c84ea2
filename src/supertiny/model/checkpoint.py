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


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The causal language model of `folder`, in evaluation mode."""
    _must_be_model(folder)
    try:
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
    tokenizer.save_pretrained(folder)
    for name, keys in {
        "config.json": ("_name_or_path", "_model_name_or_path"),
        "tokenizer_config.json": ("is_local", "local_files_only"),
    }.items():
        path = folder / name
        if path.is_file():
            kept = {key: value for key, value in json.loads(path.read_text()).items() if key not in keys}
            path.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def tokenizer_identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """sha256 of the id -> token map: two models may exchange logits only where it is equal (algorithms section 8)."""
    tokens = sorted((index, token) for token, index in tokenizer.get_vocab().items())
    return sha256(json.dumps(tokens, ensure_ascii=False).encode()).hexdigest()


def _must_be_model(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: there is no model here (no config.json); run the stage that makes it (`dvc repro`)")
