"""What the request of the small model is worth, and each part of it, on dev and on functions of dev_ood.

    python -m benchmarks.choices --model data/models/llm --encoder data/models/encoder --dataset data/dataset \
        --out benchmarks/choices

Every arm is trained for as many minutes: on as many rows as make `TOKENS` of training prompts and answers, times what a
token of it takes. The old request is a list of eight functions, which an oracle draws for each query, and calls as
JSON; it answers dev behind its own retriever too, whose training has minutes of its own. Each arm and seed is a file in
`out`, which the next run finds; `out`.md is the table. Nothing here is asked of the test. Minutes compare only where
the machine had nothing else to do.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

from benchmarks.kept import measured, timed
from supertiny.core.ask import DecodeConfig, GenerateMachine, requests
from supertiny.core.calls import Call, Pool, Syntax
from supertiny.core.config import load, load_profile
from supertiny.core.files import write_text
from supertiny.core.prompt import PromptConfig, read_answer
from supertiny.core.records import UNSEEN, Example, read_examples
from supertiny.core.stage import run
from supertiny.data.dataset import DatasetConfig, Oracle
from supertiny.engines.native.answer import generate
from supertiny.engines.native.train import train
from supertiny.engines.training import TrainingPlan
from supertiny.judge.reference import judge
from supertiny.measure.evaluate import achievable_rate, token_means
from supertiny.measure.size import model_size
from supertiny.model import checkpoint
from supertiny.model.config import LabellingConfig, TrainMachine
from supertiny.model.encoder import load_headed
from supertiny.model.flops import cost
from supertiny.model.train import Job
from supertiny.model.trained import way_to_train
from supertiny.report.tables import number, table
from supertiny.retrieval.retrievers import ClassifierRetriever
from supertiny.retrieval.train import train_classifier
from supertiny.sft.groups import PackConfig
from supertiny.sft.packs import TrainingSet, read_training_set

TOKENS, DEV, SEEDS = 178_000, 24, (0, 1, 2)
"""of the training prompts and answers of an arm; rows whose loss is logged; the first two arms have a run a seed"""

PART = 0.55
"""of TOKENS, for the arms that tell the parts of the request: under ten minutes in float32 too"""

SAMPLE = 480
"""rows whose tokens tell those of all"""

OLD = {
    "lists": "oracle",
    "prompt": {"answer": Syntax.json, "rules": []},
    "pack": {"group_size": 6, "whole": 1.0, "general": 0.0},
    "learning_rate": 4.0e-4,  # the best one for groups of six
    "share": 0.65,  # its packs are short, and a step has its price
}
ARMS: dict[str, dict[str, Any]] = {
    "the request": {},
    "old request": OLD,
    "whole lists and domain mostly": {"pack": {"whole": 0.9, "general": 0.1}, "learning_rate": 4.0e-4, "share": 0.94},
    "the same in groups of twelve": {"pack": {"whole": 0.9, "general": 0.1, "group_size": 12}, "share": 0.76},
    "the request, of fewer rows": {"share": PART},
    "without other lists": {"pack": {"whole": 1.0, "general": 0.0}, "share": PART},
    "without general functions": {"pack": {"general": 0.0}, "share": PART},
    "without substitution": {"pack": {"substitution": 0.0}, "share": PART},
    "without the rule": {"prompt": {"rules": []}, "share": PART},
}
"""what differs from params.yaml; `share`: of TOKENS, so that minutes are equal, those of the old one's retriever too"""


def main(model: Path, encoder: Path, dataset: Path, out: Path) -> None:
    """Measure each arm and seed that has no file in `out` yet, and write the table."""
    compared, others = list(ARMS)[:2], list(ARMS)[2:]
    runs = [(name, seed) for seed in SEEDS for name in compared] + [(name, SEEDS[0]) for name in others]
    cases = {f"{name}, seed {seed}": (name, seed) for name, seed in runs}
    found = measured(cases, out, lambda case: measure(model, encoder, dataset, *case))
    write_text(out.with_suffix(".md"), _table(found))


def measure(model: Path, encoder: Path, dataset: Path, arm: str, seed: int) -> dict[str, Any]:
    """Train `model` as the arm says, and let it answer dev and dev_ood."""
    change = ARMS[arm]
    whole = read_training_set(dataset, dataset / "train.reference.jsonl")
    prompt = replace(load("prompt", PromptConfig), **change.get("prompt", {}))
    packing = replace(load("pack", PackConfig), **change.get("pack", {}))
    draws = change.get("lists") == "oracle"
    everyone = list(whole.examples)
    Random(seed).shuffle(everyone)
    splits = {split: read_examples(dataset / f"{split}.jsonl", whole.pool) for split in ("dev", "dev_ood")}
    if draws:
        everyone, splits = _drawn(everyone, whole.pool), {name: _drawn(row, whole.pool) for name, row in splits.items()}
    data = replace(
        whole, examples=everyone, dev=splits["dev"][:DEV], packing=packing, prompt=prompt, seed=seed,
        general=whole.general if packing.general else (),
    )  # fmt: skip
    data = _within(data, model, round(TOKENS * change.get("share", 1.0)))
    with tempfile.TemporaryDirectory() as scratch:
        tuned, log, machine = Path(scratch) / "tuned", Path(scratch) / "log.csv", load_profile("train", TrainMachine)
        cfg = way_to_train("sft")
        fit = replace(cfg.fit, learning_rate=change.get("learning_rate", cfg.fit.learning_rate))
        plan = TrainingPlan(rows=data, cfg=replace(cfg, fit=fit), teacher=None, divergence=None)
        _, took = timed(lambda: train(plan, Job(model, tuned, log, machine)))
        found = _answered(tuned, splits, data)
        if draws:
            job = Job(encoder, Path(scratch) / "retriever", log, machine)
            retrieved, spent = timed(lambda: _retrieved(job, data, splits["dev"]))
            found["retrieved"] = _answered(tuned, {"dev": retrieved}, data)["dev"] | {"train_minutes": round(spent, 2)}
    changed = {key: value for key, value in change.items() if key != "share"}
    return {"change": changed, "rows": len(data.examples), "train_minutes": round(took, 2), **found}


def _retrieved(job: Job, data: TrainingSet, rows: Sequence[Example]) -> list[Example]:
    """The rows behind as many functions as they are offered, found by a classifier that learns the same examples."""
    taught = [row for row in data.examples if isinstance(row.answers[0], Call)]
    train_classifier(job, taught, rows[:DEV], load("retriever", LabellingConfig), data.seed)
    offered = max(len(row.candidates) for row in rows)
    ranked = ClassifierRetriever(load_headed(job.out)).rank(rows, offered)
    return [
        replace(row, candidates=tuple(name for name in data.pool if name in names))
        for row, names in zip(rows, ranked, strict=True)
    ]


def _drawn(rows: Sequence[Example], pool: Pool) -> list[Example]:
    """The rows behind the lists of an oracle, of functions that theirs offers."""
    cfg, rng = load("dataset", DatasetConfig), Random("lists")
    oracles: dict[tuple[str, ...], Oracle] = {}
    found = []
    for row in rows:
        offered = {name: pool[name] for name in row.candidates}
        oracle = oracles.setdefault(row.candidates, Oracle(offered, cfg.num_candidates, cfg.hard_share))
        answer = row.answers[0]
        near = answer.name if isinstance(answer, Call) else rng.choice(row.candidates)
        found.append(replace(row, candidates=oracle.offer(rng, near)))
    return found


def _within(data: TrainingSet, model: Path, tokens: int) -> TrainingSet:
    """As many of the first rows as fill so many tokens with their packs, those of other domains among them."""
    tokenizer, some = checkpoint.load_tokenizer(model), data.examples
    packs = replace(data, examples=some[:SAMPLE]).packs(tokenizer)
    return replace(data, examples=some[: round(tokens * SAMPLE / sum(map(len, packs)))])


def _answered(model: Path, splits: Mapping[str, Sequence[Example]], data: TrainingSet) -> dict[str, Any]:
    """The rates of each split, of functions never trained on apart; tokens and GFLOPs of a query of dev."""
    decode, machine, pool = load("decode", DecodeConfig), load_profile("generate", GenerateMachine), data.pool
    found: dict[str, Any] = {}
    for name, rows in splits.items():
        written = generate(model, requests(rows, pool, data.prompt), decode, machine)
        replies = [
            read_answer(one.text, {name: pool[name] for name in row.candidates}, data.prompt.answer)
            for row, one in zip(rows, written, strict=True)
        ]
        kept = [at for at, row in enumerate(rows) if name == "dev" or UNSEEN in row.tags]
        asked, said = [rows[at] for at in kept], [replies[at] for at in kept]
        rates = achievable_rate(asked, said, list(map(judge, asked, said)), data.seed)
        found[name] = {key: rates[key] for key in ("n", "ar", "ar_low", "ar_high", "function_accuracy", "failures")}
        if name == "dev":
            means = token_means(written)
            found |= {"workload": means, "cost": cost(model_size(model), means)}
    return found


def _table(results: Sequence[Mapping[str, Any]]) -> str:
    head = ["arm", "seeds", "AR, dev", "behind its retriever", "AR, dev_ood", "right function there"]
    head += ["tokens: prompt", "not cached", "written", "GFLOPs (GEMM)", "rows", "minutes", "its retriever's"]
    lines = []
    for arm in ARMS:
        runs = [one for one in results if one["name"].rpartition(",")[0] == arm]
        rates = [("dev", "ar"), ("retrieved", "ar"), ("dev_ood", "ar"), ("dev_ood", "function_accuracy")]
        tokens = [("workload", key) for key in ("prompt_tokens", "uncached_tokens", "new_tokens")]
        costs = [*tokens, ("cost", "gflops_gemm")]
        cells = [_cell(runs, path, 3) for path in rates] + [_cell(runs, path, 1) for path in costs]
        minutes = [_cell(runs, path, 1) for path in (("train_minutes",), ("retrieved", "train_minutes"))]
        lines.append([arm, number(len(runs)), *cells, _cell(runs, ("rows",), 0), *minutes])
    return table(head, lines) + "\n"


def _cell(runs: Sequence[Mapping[str, Any]], path: Sequence[str], digits: int) -> str:
    """The mean over the runs that measured it, with the least and the most of them."""
    found = []
    for one in runs:
        value: Any = one
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        found += [] if value is None else [float(value)]
    if not found:
        return "-"
    spread = f" ({min(found):.{digits}f} to {max(found):.{digits}f})" if len(found) > 1 else ""
    return number(mean(found), digits) + spread


if __name__ == "__main__":
    run(main)
