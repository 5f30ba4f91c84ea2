"""What a distillation step costs: against a cross-entropy step, and with the teacher cached against online.

    python -m benchmarks.distill_step --out benchmarks/distill_step.json          # some minutes on two cores
    python -m benchmarks.distill_step --out distill_step.json --sizes tiny        # seconds; its figures mean nothing

Llama decoders with SmolLM2-135M's widths, randomly initialised (no time depends on the weights), of several depths,
with its vocabulary and with a trimmed one. A step is `fit`'s: forward, loss, backward, clipping, AdamW, embeddings
frozen; every way sees the same packs. Cached: K ids a token are at hand (reading them from disk is not counted).
Online: the teacher, always the deepest with the whole vocabulary, runs within the step; its logits are sharpened, for a
trained teacher's are, and a head is found faster among sharp ones. All ways take turns within a round, a round's ratios
are of neighbours in time, and the table holds their medians.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.core.files import write_json
from supertiny.core.machine import describe
from supertiny.core.stage import run
from supertiny.distill.divergence import Divergence
from supertiny.distill.loss import divergence_sum
from supertiny.distill.signal import Signal
from supertiny.model import attention
from supertiny.model.batches import Batch, Branch, Pack, collate
from supertiny.model.fit import ResponseLogits, cross_entropy
from supertiny.model.hardware import compute_dtype, device

AKL = Divergence(kind="akl", mu=0.5, alpha=0.5)
SHARPNESS = 40.0
"""the teacher's random logits are multiplied by it: top-1 probability .9 or so"""
PREFIX_TOKENS, PROMPT_TOKENS, RESPONSE_TOKENS, BRANCHES = 120, 30, 22, 6
"""a group of stage sft: its shared prefix, and what each of its queries adds"""

Step = Callable[[Batch, Signal], float]
"""one step on a batch whose stored teacher is at hand -> its seconds"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    hidden: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabularies: tuple[int, ...]
    """of the students; the teacher has the first"""
    depths: tuple[int, ...]
    """of the students; the teacher has the first"""
    kept_ids: tuple[int, ...]
    """K of the cached signals"""
    chunk_rows: int
    rounds: int


SIZES = {
    "full": Sizes(576, 9, 3, 1536, (49152, 2048), (30, 15, 8, 4), (5, 20, 100), 16, 7),
    "tiny": Sizes(64, 4, 2, 128, (512, 128), (4, 1), (5, 20), 16, 3),
}


def main(out: Path, sizes: str = "full") -> None:
    """Time every way to take a step, round by round; write the medians of their ratios."""
    if sizes not in SIZES:
        raise UserError(f"sizes: expected one of {', '.join(SIZES)}, got {sizes!r}")
    chosen = SIZES[sizes]
    torch.manual_seed(0)
    teacher = _model(chosen, chosen.depths[0], chosen.vocabularies[0]).to(compute_dtype("auto")).eval()
    rows = [
        _row(chosen, teacher, depth, vocabulary)
        for vocabulary in tqdm(chosen.vocabularies, desc="vocabularies")
        for depth in tqdm(chosen.depths, desc="students")
    ]
    content = {
        "machine": describe(),
        "threads": torch.get_num_threads(),
        "precision": str(compute_dtype("auto")),
        "sizes": asdict(chosen),
        "response_tokens_a_step": BRANCHES * RESPONSE_TOKENS,
        "teacher_parameters": _count(teacher),
        "students": rows,
    }
    write_json(out, content)


def _row(sizes: Sizes, teacher: PreTrainedModel, depth: int, vocabulary: int) -> dict[str, Any]:
    student = _model(sizes, depth, vocabulary)
    size = _count(student)
    ways = _ways(sizes, teacher, student)
    names = list(ways)
    rounds: list[dict[str, float]] = []
    for number in range(-1, sizes.rounds):  # the first is for warming up
        batch = collate([_pack(Random(number), min(sizes.vocabularies))], 0).to(device())
        stored = _whole(teacher, batch, vocabulary)
        turn = number % len(names)
        seconds = {name: ways[name](batch, stored) for name in names[turn:] + names[:turn]}
        if number >= 0:
            rounds.append(seconds)
    cached = {name: _ratio(rounds, name, "cross_entropy") for name in names if name.startswith("cached")}
    against = f"cached_{sizes.kept_ids[-1]}"
    return {
        "layers": depth,
        "vocabulary": vocabulary,
        "parameters": size,
        "teacher_to_student": round(_count(teacher) / size, 2),
        "teacher_top1": round(stored.log_p_NK.amax(-1).exp().mean().item(), 3),
        "cross_entropy_ms": round(1000 * statistics.median(one["cross_entropy"] for one in rounds), 1),
        "ratio_to_cross_entropy": {**cached, "online": _ratio(rounds, "online", "cross_entropy")},
        f"online_to_{against}": _ratio(rounds, "online", against),
        "rounds_ms": [{name: round(1000 * one[name], 1) for name in names} for one in rounds],
    }


def _ways(sizes: Sizes, teacher: PreTrainedModel, student: PreTrainedModel) -> dict[str, Step]:
    """For every way to learn, the function that takes one step with it and says its seconds."""
    scorer, vocabulary = ResponseLogits(student), student.config.vocab_size
    student.get_input_embeddings().requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-5, fused=True)

    def timed(batch: Batch, loss: Callable[[Tensor], Tensor]) -> float:
        started = time.perf_counter()
        with torch.autocast(device().type, torch.bfloat16, enabled=compute_dtype("auto") is torch.bfloat16):
            logits_NV = scorer(batch)
        torch.autograd.backward(loss(logits_NV.float()) / len(batch.targets))
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def learn(logits_NV: Tensor, signal: Signal) -> Tensor:
        return divergence_sum(logits_NV, signal, AKL, sizes.chunk_rows)

    def cached(kept_ids: int) -> Step:
        def step(batch: Batch, stored: Signal) -> float:
            top = stored.log_p_NK.topk(kept_ids)
            signal = Signal(top.values, top.indices)
            return timed(batch, lambda logits_NV: learn(logits_NV, signal))

        return step

    return {
        "cross_entropy": lambda batch, _: timed(batch, lambda logits_NV: cross_entropy(logits_NV, batch)),
        **{f"cached_{kept_ids}": cached(kept_ids) for kept_ids in sizes.kept_ids},
        "online": lambda batch, _: timed(batch, lambda logits_NV: learn(logits_NV, _whole(teacher, batch, vocabulary))),
    }


@torch.no_grad()
def _whole(teacher: PreTrainedModel, batch: Batch, vocabulary: int) -> Signal:
    """The teacher's distribution over all ids that the student has, the first `vocabulary` ones."""
    log_p_NV = (ResponseLogits(teacher)(batch).float() * SHARPNESS).log_softmax(-1)
    if vocabulary == log_p_NV.shape[-1]:
        return Signal(log_p_NV)
    ids = torch.arange(vocabulary, device=log_p_NV.device)
    return Signal(log_p_NV[:, :vocabulary], ids.expand(len(log_p_NV), -1))


def _model(sizes: Sizes, depth: int, vocabulary: int) -> PreTrainedModel:
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=sizes.hidden,
        intermediate_size=sizes.intermediate,
        num_hidden_layers=depth,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config).to(device())
    if not torch.cuda.is_available() and compute_dtype("auto") is torch.bfloat16:
        model.set_attn_implementation(attention.NAME)  # as fit does
    return model.train()


def _pack(rng: Random, vocabulary: int) -> Pack:
    def ids(size: int) -> list[int]:
        return [rng.randrange(vocabulary) for _ in range(size)]

    return Pack(ids(PREFIX_TOKENS), tuple(Branch(ids(PROMPT_TOKENS), ids(RESPONSE_TOKENS)) for _ in range(BRANCHES)))


def _count(model: PreTrainedModel) -> int:
    return sum(p.numel() for p in model.parameters())


def _ratio(rounds: list[dict[str, float]], name: str, other: str) -> float:
    return round(statistics.median(one[name] / one[other] for one in rounds), 3)


if __name__ == "__main__":
    run(main)
