"""Hours and memory of work on given GPUs.

Operations over the peak that is reached, or bytes read over the bandwidth that is reached, whichever takes longer: a
GPU that writes one token for few sequences waits for its memory, one that trains or reads prompts computes.
"""

from dataclasses import dataclass

from supertiny.core.config import require, require_positive
from supertiny.measure.flops import ModelShape, gemm_flops
from supertiny.plan.shapes import Sized

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
