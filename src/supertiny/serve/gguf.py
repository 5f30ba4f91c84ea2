"""A Hugging Face folder as one GGUF file, which llama.cpp and its kin read: the same weights in float32.

Rotary positions pair neighbouring channels there and the halves of a head here, so queries and keys of the Llama
architecture are reordered on the way (as their loader expects); Qwen2's stay as they are.
"""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from transformers import PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.core.files import whole_file
from supertiny.model import checkpoint
from supertiny.model.checkpoint import recipe

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}
"""model type here -> architecture there; a Mistral without a sliding window is a Llama"""
GPT2_SPLIT, QWEN2_SPLIT = "gpt-2", "qwen2"
"""names there of how a text is cut before byte pairs are merged"""


def write_gguf(model: Path, out: Path) -> None:
    """Write the model of folder `model`, its tokenizer included, to file `out`, whole or not at all."""
    if recipe(model) is not None:
        raise UserError(f"{model}: is quantized; give the float model it was made of, and let llama.cpp quantize that")
    loaded = checkpoint.load_model(model)
    kind = loaded.config.model_type
    if kind not in ARCHITECTURES or getattr(loaded.config, "attention_bias", False):
        raise UserError(
            f"{model}: GGUF is written of {', '.join(ARCHITECTURES)} models, without biases but Qwen2's own"
        )
    with whole_file(out) as partial:
        writer = gguf.GGUFWriter(partial, ARCHITECTURES[kind])
        _add_sizes(writer, loaded.config, model.name)
        _add_tokenizer(writer, model, loaded.config.vocab_size)
        _add_tensors(writer, loaded, ARCHITECTURES[kind])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _add_sizes(writer: gguf.GGUFWriter, config: Any, name: str) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer(writer: gguf.GGUFWriter, model: Path, rows: int) -> None:
    """Byte-level BPE: its tokens, merges and cut; a row without a token gets one that nothing spells."""
    tokenizer = checkpoint.load_tokenizer(model)
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    if described["model"]["type"] != "BPE":
        raise UserError(f"{model}: its tokenizer is {described['model']['type']}; GGUF is written of byte-level BPE")
    added = {one["id"]: one for one in described["added_tokens"]}
    words = {index: word for word, index in described["model"]["vocab"].items()} | {
        index: one["content"] for index, one in added.items()
    }

    def kind(index: int) -> gguf.TokenType:
        if index not in words:
            return gguf.TokenType.UNUSED
        if index not in added:
            return gguf.TokenType.NORMAL
        return gguf.TokenType.CONTROL if added[index]["special"] else gguf.TokenType.USER_DEFINED

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_split(described["pre_tokenizer"], model))
    writer.add_token_list([words.get(index, f"[PAD{index}]") for index in range(rows)])
    writer.add_token_types([kind(index) for index in range(rows)])
    writer.add_token_merges([" ".join(pair) for pair in described["model"]["merges"]])
    writer.add_add_bos_token(False)  # a prompt is what it says
    for name in ("bos", "eos", "pad", "unk"):
        if (index := getattr(tokenizer, f"{name}_token_id")) is not None:
            getattr(writer, f"add_{name}_token_id")(index)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _split(how: Any, model: Path) -> str:
    """The name of a cut: GPT-2's own regular expression, or one that is spelt out, which is Qwen2's."""
    if how and how["type"] == "ByteLevel" and how["use_regex"] and not how["add_prefix_space"]:
        return GPT2_SPLIT
    if how and how["type"] == "Sequence" and [one["type"] for one in how["pretokenizers"]] == ["Split", "ByteLevel"]:
        return QWEN2_SPLIT
    raise UserError(
        f"{model}: its tokenizer cuts texts in a way that GGUF has no name for here: {json.dumps(how)[:200]}"
    )


def _add_tensors(writer: gguf.GGUFWriter, model: PreTrainedModel, architecture: str) -> None:
    config = model.config
    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[architecture], config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue  # read from the embedding there too
        values, module = tensor.float().numpy(), name.split(".")[-2]
        if architecture == "llama" and module in heads:
            values = _paired(values, heads[module])
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), values)


def _paired(rows: np.ndarray, heads: int) -> np.ndarray:
    """Each head's rows (first half, second half) as pairs: row i of both halves beside each other."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))
