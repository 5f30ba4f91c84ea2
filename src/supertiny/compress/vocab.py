"""Vocabulary pruning: keep only the tokens that the domain reads or writes (beyond the paper).

A byte-level BPE tokenizer stays whole without the rest: bytes are kept, so every text still becomes tokens and
back. A text whose tokens are all kept becomes the very same tokens, for BPE applies merges in rank order, and all
merges on the way to a kept token stay, in their order, while no new one joins.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers.pre_tokenizers import ByteLevel
from torch import nn
from tqdm import tqdm
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.model.checkpoint import encoder
from supertiny.model.vocab import record_trimmed, vocabulary_of


def trim_vocabulary(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str | Sequence[int]]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Leave `model`, in place, the rows of the tokens of `texts`; give it back with a tokenizer that knows no others.

    Kept besides: added tokens (special or not), bytes, and what BPE passes through on the way to a kept token. Ids
    keep their order. Logits of kept tokens are what they were. Give the texts in the pieces that are tokenized alone,
    or as their tokens.
    """
    before = vocabulary_of(model.config, tokenizer)
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    own = {index for holder in _configs(model) for value in _token_ids(holder).values() for index in _listed(value)}
    kept = _kept(tokenizer, definition, texts, own)
    new = {old: index for index, old in enumerate(kept)}
    trimmed = _reloaded(tokenizer, _trimmed(definition, new))
    wanted = {token: new[old] for token, old in tokenizer.get_vocab().items() if old in new}
    if trimmed.get_vocab() != wanted:
        raise UserError(f"a {type(tokenizer).__name__} builds its own vocabulary and cannot be trimmed")
    _keep_rows(model, kept)
    for holder in _configs(model):
        for name, value in _token_ids(holder).items():
            setattr(holder, name, [new[index] for index in value] if isinstance(value, list) else new[value])
    model.get_input_embeddings().padding_idx = model.config.pad_token_id
    record_trimmed(model.config, before, kept)
    return model, trimmed


def _kept(
    tokenizer: PreTrainedTokenizerBase, definition: dict[str, Any], texts: Iterable[str | Sequence[int]], own: set[int]
) -> list[int]:
    """Ids to keep, ascending."""
    always = {added["content"] for added in definition["added_tokens"]} | _bytes(definition)
    vocab, encode = tokenizer.get_vocab(), encoder(tokenizer)
    used = own.union(tokenizer.all_special_ids)
    for text in tqdm(texts, desc="vocabulary", unit="text"):
        used.update(encode(text) if isinstance(text, str) else text)
    if missing := used - set(vocab.values()):
        raise UserError(f"the model's config names the token ids {sorted(missing)}, which its tokenizer does not have")
    tokens = always.union(tokenizer.convert_ids_to_tokens(sorted(used)))
    return sorted(vocab[token] for token in _with_parts(tokens, definition["model"]["merges"]) if token in vocab)


def _bytes(definition: dict[str, Any]) -> set[str]:
    """The tokens that stand for one byte; a tokenizer without them is refused, it could not read every text."""
    model = definition["model"]
    plain = model["type"] == "BPE" and not model["continuing_subword_prefix"] and not model["end_of_word_suffix"]
    if plain and model["byte_fallback"]:
        return {f"<0x{byte:02X}>" for byte in range(256)}
    if plain and '"ByteLevel"' in json.dumps(definition["pre_tokenizer"]):
        return set(ByteLevel.alphabet())
    raise UserError("only byte-level BPE tokenizers (Llama, Qwen2) can be trimmed; leave this one whole")


def _with_parts(tokens: Iterable[str], merges: Sequence[Sequence[str]]) -> set[str]:
    """`tokens` and every token that some chain of merges to them passes through."""
    parts: dict[str, set[str]] = defaultdict(set)
    for left, right in merges:
        parts[left + right] |= {left, right}
    found: set[str] = set()
    waiting = list(tokens)
    while waiting:
        token = waiting.pop()
        if token not in found:
            found.add(token)
            waiting += parts[token]
    return found


def _trimmed(definition: dict[str, Any], new: dict[int, int]) -> dict[str, Any]:
    """tokenizer.json with only the ids of `new` (old id -> new id), and the merges among their tokens."""
    model = definition["model"]
    vocab = {token: new[old] for token, old in model["vocab"].items() if old in new}
    merges = [(a, b) for a, b in model["merges"] if a in vocab and b in vocab and a + b in vocab]
    return definition | {
        "model": model | {"vocab": vocab, "merges": merges},
        "added_tokens": [added | {"id": new[added["id"]]} for added in definition["added_tokens"]],
        "post_processor": _renumbered(definition["post_processor"], new),
        "padding": None,  # state of the last call, with an id in it
    }


def _renumbered(value: Any, new: dict[int, int]) -> Any:
    """A post-processor with new ids in every template of special tokens, however deep it stands."""
    if isinstance(value, list):
        return [_renumbered(one, new) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "TemplateProcessing":
        specials = {k: v | {"ids": [new[old] for old in v["ids"]]} for k, v in value["special_tokens"].items()}
        return value | {"special_tokens": specials}
    return {key: _renumbered(one, new) for key, one in value.items()}


def _reloaded(tokenizer: PreTrainedTokenizerBase, definition: dict[str, Any]) -> PreTrainedTokenizerBase:
    """`tokenizer` with another tokenizer.json, made as any reader of its folder would make it."""
    with TemporaryDirectory() as scratch:
        tokenizer.save_pretrained(scratch)
        Path(scratch, "tokenizer.json").write_text(json.dumps(definition, ensure_ascii=False), encoding="utf-8")
        return AutoTokenizer.from_pretrained(scratch, local_files_only=True)


def _keep_rows(model: PreTrainedModel, kept: Sequence[int]) -> None:
    """Rows `kept` of embedding and head, tied if they were; padded rows go too."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if kept[-1] >= len(embedding.weight):
        raise UserError(f"the tokenizer has an id {kept[-1]}, the model {len(embedding.weight)} rows")
    tied = head.weight is embedding.weight
    rows = torch.tensor(kept, device=embedding.weight.device)
    embedding.weight = nn.Parameter(embedding.weight.detach()[rows])
    head.weight = embedding.weight if tied else nn.Parameter(head.weight.detach()[rows])
    if head.bias is not None:
        head.bias = nn.Parameter(head.bias.detach()[rows])
    embedding.num_embeddings = head.out_features = len(kept)
    model.config.vocab_size = model.vocab_size = model.base_model.vocab_size = len(kept)


def _configs(model: PreTrainedModel) -> list[Any]:
    return [model.config, model.generation_config]


def _token_ids(config: Any) -> dict[str, Any]:
    """Fields of a config that hold token ids: one, or a list of them."""
    return {k: v for k, v in config.to_dict().items() if k.endswith("_token_id") and v is not None}


def _listed(value: int | list[int]) -> list[int]:
    return value if isinstance(value, list) else [value]
