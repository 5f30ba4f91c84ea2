"""The teacher's logits cache: memory against size, bytes per token, and what truncation does to AKL and its gradient.

    python -m benchmarks.logits_cache --teacher data/models/sft --base data/models/llm --dataset data/dataset \
        --out benchmarks/logits_cache.json --curve benchmarks/logits_cache.svg

Memory and bytes are of synthetic teachers that are streamed in; errors are of one synthetic peaked teacher, whose
students are itself with noise on the logits, and of the real teacher on dev queries, whose students are the base
model it was tuned from, and the weights halfway and nine tenths of the way between the two.
"""

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from supertiny.core.config import load
from supertiny.core.files import write_csv, write_json
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.distill.config import LogitsConfig
from supertiny.distill.divergence import Divergence
from supertiny.distill.loss import Signal, divergence_sum
from supertiny.distill.rows import Rows, reconciled
from supertiny.distill.store import (
    CacheReader,
    CacheWriter,
    TeacherIdentity,
    content_key,
    nucleus,
    real_log_probs,
    summary,
)
from supertiny.measure.load import machine_summary as machine
from supertiny.model import checkpoint
from supertiny.model.batches import collate
from supertiny.model.train import ResponseLogits
from supertiny.model.vocab import Vocabulary
from supertiny.report.pictures import COLOURS, canvas
from supertiny.sft.groups import PackConfig, drawn
from supertiny.sft.packs import pack

TOKENS, RESPONSE, SHARD, POINTS = 10_000_000, 25, 1_000_000, 40
"""of the memory curve"""
VOCABULARY = 151_665
IDENTITY = TeacherIdentity(weights_sha256="", vocabulary=Vocabulary("", range(VOCABULARY)), padded_size=151_936)
NAIVE = 100 * (8 + 4)
"""bytes of a token: k = 100 as int64 and fp32"""
MIN_KS, MUS = (1, 2, 3, 4, 8), (0.5, 0.9)
SYNTHETIC_TOKENS, REAL_GROUPS, REAL_TOKENS = 32, 4, 256


def main(teacher: Path, base: Path, dataset: Path, out: Path, curve: Path) -> None:
    """Measure all three; the curve goes to an SVG, and a CSV beside it."""
    cfg = load("logits", LogitsConfig)
    report: dict[str, Any] = {"machine": machine(), "naive_bytes_per_token": NAIVE, "bytes_per_token": bytes_taken(cfg)}
    write_json(out, report)  # after each part, as the last takes minutes
    report["synthetic"] = synthetic_errors(cfg)
    write_json(out, report)
    report["real"] = real_errors(cfg, teacher, base, dataset)
    write_json(out, report)
    points = memory(cfg)
    report["memory"] = {name: span(points, name) for name in ("write", "read")}
    write_json(out, report)
    write_csv(curve.with_suffix(".csv"), points)
    draw(points, curve)


def teacher_log_probs(num: int, slope: float, seed: int, top1: tuple[float, float] | None) -> Tensor:
    """[num, VOCABULARY] in fp32: the r-th token behind the first has mass as r**-slope; `top1` bounds the first's."""
    draw = torch.Generator().manual_seed(seed)
    ranks = torch.arange(1, VOCABULARY + 1, dtype=torch.float32)
    log_p = (-slope * ranks.log()).log_softmax(-1).repeat(num, 1)
    if top1:
        low, high = (np.log(1 - one) for one in top1)
        left = torch.exp(low + (high - low) * torch.rand(num, 1, generator=draw))  # log-uniform
        log_p = torch.cat([torch.log1p(-left), left.log() + log_p[:, 1:].log_softmax(-1)], -1)
    return torch.stack([row[torch.randperm(VOCABULARY, generator=draw)] for row in log_p])


KINDS: dict[str, tuple[float, tuple[float, float] | None]] = {
    "peaked, steep tail": (4.0, (0.98, 0.99999)),
    "peaked, real-like tail": (2.0, (0.98, 0.99999)),
    "flat": (1.0, None),
}
"""slope of the tail, bounds of the first token's probability"""


def bytes_taken(cfg: LogitsConfig) -> dict[str, Any]:
    """Whole caches of synthetic teachers: 400 responses of 25 tokens, and one token each."""
    found: dict[str, Any] = {}
    for kind, (slope, top1) in KINDS.items():
        made = [nucleus(teacher_log_probs(RESPONSE, slope, seed, top1), cfg) for seed in range(4)]
        for tokens in (RESPONSE, 1):
            with tempfile.TemporaryDirectory() as folder:
                fill(Path(folder), cfg, 400, [cut(rows, tokens) for rows in made])
                held = summary(CacheReader(Path(folder)))
            keep = ("bytes_per_token", "ids_per_token", "missing_mass", "top1_probability")
            found[f"{kind}; {tokens} tokens a response"] = {name: held[name] for name in keep}
    return found


def cut(rows: Rows, tokens: int) -> Rows:
    """The first tokens of a response."""
    num = int(rows.counts[:tokens].sum())
    return Rows(rows.ids[:num], rows.log_probs[:num], rows.counts[:tokens], rows.log_rest[:tokens])


def fill(folder: Path, cfg: LogitsConfig, num: int, made: list[Rows]) -> None:
    """A cache of `num` responses."""
    with CacheWriter(folder, IDENTITY, cfg, SHARD) as writer:
        for number in range(num):
            writer.add(content_key([number], []), made[number % len(made)])


def memory(cfg: LogitsConfig) -> list[dict[str, Any]]:
    """The curve of a fresh process: in this one, memory that earlier parts gave back would hide what grows."""
    slope, top1 = KINDS["peaked, real-like tail"]
    made = [nucleus(teacher_log_probs(RESPONSE, slope, seed, top1), cfg) for seed in range(8)]
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(streamed, (cfg, made))


def streamed(cfg: LogitsConfig, made: list[Rows]) -> list[dict[str, Any]]:
    """Resident memory while a peaked teacher is written, and then read in random order, each response once."""
    num = TOKENS // RESPONSE
    points: list[dict[str, Any]] = []

    def each(phase: str, numbers: Iterator[int] | range) -> Iterator[int]:
        for done, number in enumerate(tqdm(numbers, desc=phase, total=num, mininterval=10)):
            yield number
            if (done + 1) % (num // POINTS) == 0:
                points.append({"phase": phase, "tokens": (done + 1) * RESPONSE, **resident()})

    order = np.random.default_rng(0).permutation(num)
    with tempfile.TemporaryDirectory() as folder:
        with CacheWriter(Path(folder), IDENTITY, cfg, SHARD) as writer:
            for number in each("write", range(num)):
                writer.add(content_key([number], []), made[number % len(made)])
        reader = CacheReader(Path(folder))
        for number in each("read", map(int, order)):
            reader.read(content_key([number], []))
    return points


def resident() -> dict[str, float]:
    """Memory of this process in MB: its own, and of files."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    own, files = (int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
    return {"own_mb": round(own, 1), "file_mb": round(files, 1)}


def span(points: list[dict[str, Any]], phase: str) -> dict[str, float]:
    """The curve in figures; the first point stands behind 1/40 of the data."""
    held = [one["own_mb"] + one["file_mb"] for one in points if one["phase"] == phase]
    return {"tokens": TOKENS, "first_mb": held[0], "last_mb": held[-1], "least_mb": min(held), "most_mb": max(held)}


def draw(points: list[dict[str, Any]], out: Path) -> None:
    """Memory over tokens, from zero."""
    with canvas(out, 6, 3.2) as figure:
        axes = figure.subplots()
        top = 0.0
        for phase, colour, style in zip(("write", "read"), COLOURS, ("-", "--"), strict=False):
            rows = [one for one in points if one["phase"] == phase]
            held = [one["own_mb"] + one["file_mb"] for one in rows]
            top = max(top, *held)
            axes.plot([one["tokens"] / 1e6 for one in rows], held, style, color=colour, lw=2, label=phase)
        axes.set(xlabel="million response tokens", ylabel="resident memory (MB)", xlim=0, ylim=(0, 1.3 * top))
        axes.legend(loc="lower right")


def synthetic_errors(cfg: LogitsConfig) -> list[dict[str, Any]]:
    """The peaked teachers; the student is its teacher with Gaussian noise on every logit."""
    found = []
    for kind in list(KINDS)[:2]:
        slope, top1 = KINDS[kind]
        log_p = teacher_log_probs(SYNTHETIC_TOKENS, slope, 0, top1)
        noise = torch.randn(log_p.shape, generator=torch.Generator().manual_seed(1))
        students = {f"{kind}, noise {size}": log_p + size * noise for size in (0.5, 2.0)}
        found += errors(cfg, log_p, students)
    return found


def errors(cfg: LogitsConfig, log_p: Tensor, students: dict[str, Tensor]) -> list[dict[str, Any]]:
    """AKL and its gradient in the student's logits, truncated against dense: relative errors."""
    found = []
    signals = {min_k: truncated(nucleus(log_p, replace(cfg, min_k=min_k))) for min_k in MIN_KS}
    for name, logits in students.items():
        for mu in MUS:
            exact, slope = value_and_gradient(logits, Signal(log_p), mu)
            for min_k, signal in signals.items():
                close, other = value_and_gradient(logits, signal, mu)
                found.append(
                    {
                        "student": name,
                        "mu": mu,
                        "min_k": min_k,
                        "akl_nats": exact / len(log_p),
                        "akl_error": abs(close - exact) / exact,
                        "gradient_error": float((other - slope).norm() / slope.norm()),
                    }
                )
    return found


def value_and_gradient(logits: Tensor, signal: Signal, mu: float) -> tuple[float, Tensor]:
    """Summed AKL and its derivative in the logits."""
    leaf = logits.clone().requires_grad_()
    value = divergence_sum(leaf * 1.0, signal, Divergence(loss="akl", mu=mu, alpha=0.5), 16)
    torch.autograd.backward(value)
    assert leaf.grad is not None
    return value.item(), leaf.grad


def truncated(rows: Rows) -> Signal:
    """Rows as a loss sees them, behind the rounding of the cache."""
    rows = reconciled(rows)
    inside = np.arange(rows.counts.max())[None] < rows.counts[:, None]
    ids, logs = np.full(inside.shape, -1, dtype=np.int64), np.full(inside.shape, -np.inf, dtype=np.float32)
    ids[inside], logs[inside] = rows.ids, rows.log_probs
    return Signal(torch.from_numpy(logs), torch.from_numpy(ids), rest_N=torch.from_numpy(rows.missing))


def real_errors(cfg: LogitsConfig, teacher: Path, base: Path, dataset: Path) -> dict[str, Any]:
    """The same of a real teacher, and what its cache would take."""
    size = len(checkpoint.load_tokenizer(teacher))
    scores = {way: next_tokens(teacher, base, way, dataset)[:, :size] for way in (0.0, 0.5, 0.9, 1.0)}
    log_p = real_log_probs(scores.pop(1.0), size, cfg.temperature)
    names = {0.0: "base model", 0.5: "halfway", 0.9: "nine tenths of the way"}
    top1 = log_p.max(-1).values.exp()
    taken = {}
    for top_p in (0.99, 0.999, cfg.top_p):
        for min_k in MIN_KS if top_p == cfg.top_p else (cfg.min_k,):
            asked = replace(cfg, top_p=top_p, min_k=min_k)
            with tempfile.TemporaryDirectory() as folder:
                fill(Path(folder), asked, 40, [nucleus(log_p, asked)])
                held = summary(CacheReader(Path(folder)))
            keep = ("bytes_per_token", "ids_per_token", "missing_mass")
            taken[f"top_p {top_p}, min_k {min_k}"] = {name: held[name] for name in keep}
    return {
        "tokens": len(log_p),
        "top1_mean": top1.mean().item(),
        "top1_share_from_.98": (top1 >= 0.98).float().mean().item(),
        "by_setting": taken,
        "errors": errors(cfg, log_p, {names[way]: one for way, one in scores.items()}),
    }


@torch.no_grad()
def next_tokens(teacher: Path, base: Path, way: float, dataset: Path) -> Tensor:
    """Logits [N, V] at the response positions of dev queries, of weights `way` from the base model to the teacher."""
    model, other = checkpoint.load_model(teacher).eval(), checkpoint.load_model(base).eval()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        mine.copy_(way * mine + (1 - way) * theirs)
    tokenizer, pool = checkpoint.load_tokenizer(teacher), read_functions(dataset / "functions.json")
    how, rows = load("pack", PackConfig).as_they_are(), read_examples(dataset / "dev.jsonl", pool)
    groups = [one for one, _ in drawn(rows, pool, how, random.Random(0))][:REAL_GROUPS]
    prompt, encode = load("prompt", PromptConfig), checkpoint.encoder(tokenizer)
    packs = [pack(one, pool, encode, tokenizer.eos_token_id, prompt) for one in groups]
    scorer = ResponseLogits(model)
    return torch.cat([scorer(collate([one], tokenizer.pad_token_id)).float() for one in packs])[:REAL_TOKENS]


if __name__ == "__main__":
    run(main)
