"""What a distillation step costs: against a cross-entropy step, and with the teacher cached against online.

    python -m benchmarks.distill_step --out benchmarks/distill_step.json          # some minutes on two cores
    python -m benchmarks.distill_step --out distill_step.json --sizes tiny        # seconds; its figures mean nothing

Llama decoders with SmolLM2-135M's widths, randomly initialised (no time depends on the weights), of several depths,
with its vocabulary and with a trimmed one. A step is `fit`'s: laying out the batch, forward, loss, backward, clipping,
AdamW, with the loss of section `distill` and what `training.teaching` freezes; every way sees the same packs. Cached:
the K ids of each token are read from a cache on disk, within the step. Online: the teacher, always the deepest with the
whole vocabulary, runs within the step; its logits are sharpened, for a trained teacher's are, and a head is found
faster among sharp ones. All ways take turns within a round, a round's ratios are of neighbours in time, and the table
holds their medians.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from supertiny.core.config import load
from supertiny.core.errors import UserError
from supertiny.core.files import write_json, write_text
from supertiny.core.stage import run
from supertiny.distill.config import DistillConfig, LogitsConfig
from supertiny.distill.divergence import Divergence
from supertiny.distill.loss import Signal, divergence_sum
from supertiny.distill.store import CacheReader, CacheWriter, TeacherIdentity, content_key, nucleus, real_log_probs
from supertiny.distill.teacher import Lesson, StoredTeacher, TaughtBatch
from supertiny.measure.load import machine_summary
from supertiny.model.batches import Batch, Branch, Pack, collate
from supertiny.model.config import FrozenConfig
from supertiny.model.finetune import freeze
from supertiny.model.hardware import compute_dtype, device
from supertiny.model.train import ResponseLogits, cross_entropy
from supertiny.model.trained import way_to_train
from supertiny.model.vocab import Vocabulary
from supertiny.report.tables import number, table

SHARPNESS = 40.0
"""the teacher's random logits are multiplied by it: top-1 probability .9 or so"""
Learned = TypeVar("Learned", Batch, TaughtBatch)
PREFIX_TOKENS, PROMPT_TOKENS, RESPONSE_TOKENS, BRANCHES = 120, 30, 22, 6
"""a group of stage sft: its shared prefix, and what each of its queries adds"""

Step = Callable[[Pack], float]
"""one step on one pack -> its seconds"""


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
    rounds: int


SIZES = {
    "full": Sizes(576, 9, 3, 1536, (49152, 2048), (30, 15, 8, 4), (5, 20, 100), 21),
    "tiny": Sizes(64, 4, 2, 128, (512, 128), (4, 1), (5, 20), 3),
}


def main(out: Path, sizes: str = "full") -> None:
    """Time every way to take a step, round by round; write the medians of their ratios."""
    if sizes not in SIZES:
        raise UserError(f"sizes: expected one of {', '.join(SIZES)}, got {sizes!r}")
    chosen = SIZES[sizes]
    cfg, frozen = load("distill", DistillConfig), way_to_train("teaching").frozen
    torch.manual_seed(0)
    teacher = _model(chosen, chosen.depths[0], chosen.vocabularies[0]).to(compute_dtype("auto")).eval()
    packs = [_pack(Random(number), min(chosen.vocabularies)) for number in range(1 + chosen.rounds)]
    with tempfile.TemporaryDirectory() as scratch:
        caches = {kept_ids: _stored(teacher, packs, kept_ids, Path(scratch)) for kept_ids in chosen.kept_ids}
        rows = [
            _row(chosen, teacher, caches, packs, _model(chosen, depth, vocabulary, frozen), cfg)
            for vocabulary in tqdm(chosen.vocabularies, desc="vocabularies")
            for depth in tqdm(chosen.depths, desc="students")
        ]
    content = {
        "machine": machine_summary(),
        "threads": torch.get_num_threads(),
        "precision": str(compute_dtype("auto")),
        "sizes": asdict(chosen),
        "distill": asdict(cfg),
        "frozen": asdict(frozen),
        "response_tokens_a_step": BRANCHES * RESPONSE_TOKENS,
        "teacher_parameters": _count(teacher),
        "students": rows,
    }
    write_json(out, content)
    write_text(out.with_suffix(".md"), _table(rows))


def _stored(teacher: PreTrainedModel, packs: list[Pack], kept_ids: int, scratch: Path) -> CacheReader:
    """A cache of the teacher's likeliest `kept_ids` at every response token of the packs."""
    vocabulary = Vocabulary("random", range(teacher.config.vocab_size))
    identity = TeacherIdentity(weights_sha256="random", vocabulary=vocabulary, padded_size=len(vocabulary.ids))
    cfg = LogitsConfig(top_k=kept_ids, top_p=1.0, min_k=1, temperature=1.0)
    folder = scratch / str(kept_ids)
    with CacheWriter(folder, identity, cfg, 250_000) as cache:
        for pack in packs:
            rows_NV = real_log_probs(_sharp(teacher, collate([pack], 0).to(device())), len(vocabulary.ids), 1.0)
            sizes = [len(branch.response) for branch in pack.branches]
            for branch, part_NV in zip(pack.branches, rows_NV.split(sizes), strict=True):
                cache.add(content_key(pack.prefix + branch.prompt, branch.response), nucleus(part_NV, cfg))
    return CacheReader(folder)


def _row(
    sizes: Sizes,
    teacher: PreTrainedModel,
    caches: dict[int, CacheReader],
    packs: list[Pack],
    student: PreTrainedModel,
    cfg: DistillConfig,
) -> dict[str, Any]:
    size = _count(student)
    ways = _ways(teacher, caches, student, cfg)
    names = list(ways)
    rounds: list[dict[str, float]] = []
    for at, pack in enumerate(packs):
        turn = at % len(names)
        rounds.append({name: ways[name](pack) for name in names[turn:] + names[:turn]})
    del rounds[0]  # it was for warming up
    top1 = _sharp(teacher, collate(packs[:1], 0).to(device())).softmax(-1).amax(-1).mean()
    cached = {name: _ratio(rounds, name, "cross_entropy") for name in names if name.startswith("cached")}
    against = f"cached_{sizes.kept_ids[-1]}"
    return {
        "layers": student.config.num_hidden_layers,
        "vocabulary": student.config.vocab_size,
        "parameters": size,
        "teacher_to_student": round(_count(teacher) / size, 2),
        "teacher_top1": round(top1.item(), 3),
        "cross_entropy_ms": round(1000 * statistics.median(one["cross_entropy"] for one in rounds), 1),
        "ratio_to_cross_entropy": {**cached, "online": _ratio(rounds, "online", "cross_entropy")},
        f"online_to_{against}": _ratio(rounds, "online", against),
        "rounds_ms": [{name: round(1000 * one[name], 1) for name in names} for one in rounds],
    }


def _ways(
    teacher: PreTrainedModel, caches: dict[int, CacheReader], student: PreTrainedModel, cfg: DistillConfig
) -> dict[str, Step]:
    """For every way to learn, the function that takes one step with it and says its seconds."""
    scorer, vocabulary = ResponseLogits(student), student.config.vocab_size
    divergence = Divergence(loss=cfg.loss, mu=cfg.mu, alpha=cfg.alpha)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-5, fused=True)

    def timed(load: Callable[[], Learned], loss: Callable[[Tensor, Learned], Tensor]) -> float:
        started = time.perf_counter()
        batch = load().to(device())
        with torch.autocast(device().type, torch.bfloat16, enabled=compute_dtype("auto") is torch.bfloat16):
            logits_NV = scorer(batch)
        torch.autograd.backward(loss(logits_NV.float(), batch) / len(batch.targets))
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def learn(logits_NV: Tensor, signal: Signal) -> Tensor:
        return divergence_sum(logits_NV, signal, divergence, cfg.chunk_rows)

    def cached(cache: CacheReader) -> Step:
        known = StoredTeacher(cache, cache.align(Vocabulary("random", range(vocabulary))))

        def taught(logits_NV: Tensor, batch: TaughtBatch) -> Tensor:
            return learn(logits_NV, batch.signal)

        return lambda pack: timed(lambda: known.batch(Lesson([pack], cfg.mu), 0), taught)

    def online(logits_NV: Tensor, batch: Batch) -> Tensor:
        return learn(logits_NV, _whole(teacher, batch, vocabulary))

    return {
        "cross_entropy": lambda pack: timed(lambda: collate([pack], 0), cross_entropy),
        **{f"cached_{kept_ids}": cached(cache) for kept_ids, cache in caches.items()},
        "online": lambda pack: timed(lambda: collate([pack], 0), online),
    }


@torch.no_grad()
def _sharp(teacher: PreTrainedModel, batch: Batch) -> Tensor:
    """The teacher's logits [N, V] at the response tokens, in fp32."""
    return ResponseLogits(teacher)(batch).float() * SHARPNESS


def _whole(teacher: PreTrainedModel, batch: Batch, vocabulary: int) -> Signal:
    """The teacher's distribution over all ids that the student has, the first `vocabulary` ones."""
    log_p_NV = _sharp(teacher, batch).log_softmax(-1)
    if vocabulary == log_p_NV.shape[-1]:
        return Signal(log_p_NV)
    ids = torch.arange(vocabulary, device=log_p_NV.device)
    return Signal(log_p_NV[:, :vocabulary], ids.expand(len(log_p_NV), -1))


def _table(rows: list[dict[str, Any]]) -> str:
    """A line a student: its step beside a cross-entropy step, and its teacher online beside the cache."""
    ways = list(rows[0]["ratio_to_cross_entropy"])
    against = next(name for name in rows[0] if name.startswith("online_to_"))
    head = [
        "blocks",
        "vocabulary",
        "teacher / student",
        "cross-entropy, ms",
        *(way.replace("_", " K ") for way in ways),
    ]
    lines = [
        [
            number(row["layers"]),
            number(row["vocabulary"]),
            number(row["teacher_to_student"], 1),
            number(row["cross_entropy_ms"]),
            *(f"x {number(row['ratio_to_cross_entropy'][way])}" for way in ways),
            f"x {number(row[against])}",
        ]
        for row in rows
    ]
    return table([*head, against.replace("_", " ")], lines) + "\n"


def _model(sizes: Sizes, depth: int, vocabulary: int, frozen: FrozenConfig | None = None) -> PreTrainedModel:
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
    if frozen:
        freeze(model, frozen)
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
