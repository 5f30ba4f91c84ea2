"""A deployment folder: all that the online path needs, a card that says where it comes from and what it is worth."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from transformers import PreTrainedModel

from supertiny.core.calls import Syntax
from supertiny.core.config import PARAMS, profile_files, profile_path
from supertiny.core.errors import UserError
from supertiny.core.files import whole_file, whole_folder, write_json, write_text
from supertiny.core.git import Provenance
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_functions
from supertiny.model import checkpoint
from supertiny.model.checkpoint import recipe
from supertiny.retrieval.index import FILE, write_index
from supertiny.serve.path import counter, crowded

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


INDEXED, CLASSIFIER = "encoder", "retriever"
ENCODERS = (INDEXED, CLASSIFIER)
"""what finds the candidates: the index's encoder, the classifier where there is one"""
FUNCTIONS = "functions.json"
DATA = (FUNCTIONS, "knowledge.json", "expert.jsonl")


@dataclass(frozen=True, slots=True)
class Server:
    """A program that serves the bare model."""

    title: str
    command: str
    reads_quantized: bool
    parser: str = ""
    """options by which its chat completions give calls as Python writes them as tool calls; empty: it cannot"""


GGUF = "llama.cpp"
SERVERS = {
    "sglang": Server("SGLang", "python -m sglang.launch_server --model-path models/{name} --port 30000", True),
    # `pythonic`, which SGLang has too, wants brackets around a call; `olmo3` sets them itself
    "vllm": Server(
        "vLLM",
        "vllm serve models/{name} --port 8000 --enable-prefix-caching",
        True,
        "--enable-auto-tool-choice --tool-call-parser olmo3",
    ),
    # version 1.2 reads none of our quantized folders as they are
    "trtllm": Server("TensorRT-LLM", "trtllm-serve models/{name} --port 8000", False),
    GGUF: Server("llama.cpp", "llama-server -m models/{name}.gguf --port 8080 --cache-prompt", False),
}
PARSED = """
Its calls are as Python writes them: `dim(level=50)`. vLLM's parser `olmo3` makes tool calls of whole replies to chat
completions (`"stream": false`), if your chat template writes the prompt as `/v1/answers` of the first command shows it;
a parser called `pythonic` wants brackets around: `[dim(level=50)]`. Without a parser a call is the text of the reply.
"""
"""what a card adds where no server but ours makes tool calls of calls by itself"""


def export(
    name: str, models: Path, data: Path, detail: str, metrics: Mapping[str, Any], origin: Provenance, out: Path,
    *, prompt: PromptConfig, engine: str | None,
) -> None:  # fmt: skip
    """Write model `name` with all it needs to folder `out`, whole or not at all; `metrics` are its own.

    `detail` is how much a function's document says, `prompt` what the model was taught to read, `engine` the one of
    `SERVERS` that the folder is for; None: each that can read it.
    """
    if out.exists():
        raise UserError(f"--out: {out} exists; remove it or name another folder")
    syntax = prompt.answer
    servers = servers_for(engine, syntax, is_float=recipe(models / name) is None)
    with whole_folder(out) as partial:
        _copy_parts(name, models, data, detail, partial)
        if SERVERS[GGUF] in servers:
            write_gguf(models / name, partial / "models" / f"{name}.gguf")
        write_json(partial / "card.json", {"model": name, "answer": syntax, "metrics": metrics, "git": origin.revision,
                                           "dvc_lock_sha256": origin.lock_sha256})  # fmt: skip
        by = _retriever(name, partial, prompt)
        write_text(partial / "README.md", card(name, metrics, origin, servers, by, syntax))


def _retriever(name: str, folder: Path, prompt: PromptConfig) -> str:
    """The option that a pool needs which is longer than a prompt of the model holds; empty: it needs none."""
    if not crowded(read_functions(folder / "dataset" / FUNCTIONS), counter([folder / "models" / name]), prompt):
        return ""
    return " --by classifier" if (folder / "models" / CLASSIFIER).is_dir() else " --by embedding"


def servers_for(engine: str | None, syntax: Syntax, is_float: bool) -> list[Server]:
    """Whom the card names; one that is asked for and cannot read the folder, or name the syntax, is an error."""
    if engine is None:
        return [one for one in SERVERS.values() if is_float or one.reads_quantized]
    if engine not in SERVERS:
        raise UserError(f"--engine: expected one of {', '.join(SERVERS)}, got {engine!r}")
    server = SERVERS[engine]
    if not (is_float or server.reads_quantized):
        raise UserError(f"--engine: {server.title} reads no quantized folder of ours as it is; export the float model")
    if syntax is Syntax.python and not server.parser:
        able = ", ".join(name for name, one in SERVERS.items() if one.parser)
        raise UserError(
            f"--engine: params.yaml has prompt.answer: python, and {server.title} has no parser of such calls; export "
            f"for {able}, or without --engine, for clients that read the text, or train with prompt.answer: json"
        )
    return [server]


def _copy_parts(name: str, models: Path, data: Path, detail: str, out: Path) -> None:
    """The model, what finds its candidates, the data and the parameters of the online path."""
    shutil.copytree(models / name, out / "models" / name)
    for encoder in ENCODERS:
        if (models / encoder).is_dir():
            shutil.copytree(models / encoder, out / "models" / encoder)
    if (out / "models" / INDEXED).is_dir():
        pool = read_functions(data / FUNCTIONS)
        write_index(out / "models" / INDEXED, pool.values(), detail, out / "models" / FILE)
    for file in DATA:
        _copy(data / file, out / "dataset" / file)
    for path in (PARAMS, *profile_files(profile_path())):
        _copy(path, out / path)


def card(
    name: str, metrics: Mapping[str, Any], origin: Provenance, servers: Sequence[Server], by: str, syntax: Syntax
) -> str:
    """The folder's README: what the model is worth, where it comes from, how `servers` are started."""
    rows = [f"| {key} | {value} |" for key, value in _flat(metrics)]
    measured = "\n".join(rows) or "| (none in metrics/summary.json) | |"
    python, has_gguf = syntax is Syntax.python, SERVERS[GGUF] in servers
    starts = [("the whole online path", f"supertiny serve --models {name} --home models --data dataset{by}")]
    for one in servers:
        named = f" {one.parser}" if python and one.parser else ""
        starts.append((one.title, one.command.format(name=name) + named))
    commands = "\n".join(f"# {what}\n{command}" for what, command in starts)
    return f"""# {name}

A super-tiny model for one function-calling task, made by supertiny.

| measured | |
|:--|--:|
{measured}

Source: git {origin.revision}, dvc.lock sha256 {origin.lock_sha256}. `params.yaml` and `profiles/` are those it was made
with. `models/` holds the model{" (also as GGUF)" if has_gguf else ""} and the encoders that find candidates, with
the index of the functions' documents; `dataset/` the functions and what is known of terms.

```bash
{commands}
```

The list of functions stands first in every prompt, the same in all of them, and each of these keeps what it computed of
it. Only the first command knows the functions, builds the prompt and holds the answer to a valid call; the others serve
the bare model to a client that does so.
{PARSED if python else ""}"""


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in metrics.items():
        rows += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return rows


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
