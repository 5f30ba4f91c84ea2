"""The dataset folder: what the stage writes and the later stages read."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from supertiny.core.calls import Call
from supertiny.core.config import require
from supertiny.core.files import whole_folder, write_json
from supertiny.core.records import Example, write_examples, write_functions
from supertiny.data.dataset import SPLITS, Dataset, Source
from supertiny.data.home.source import home_assistant
from supertiny.data.own import massive, own
from supertiny.data.verdicts import make_injections, make_verdicts
from supertiny.judge.verdicts import write_judged

SAMPLE = 700
"""queries the paper measures on"""


def complexity(queries: Sequence[str], seed: int) -> tuple[float, float]:
    """(TTR, entropy in bits) of the character 2-grams of at most `SAMPLE` queries, drawn by `seed`.

    TTR = distinct / all. Queries are lower-cased and joined by newlines; spaces and newlines count.

    >>> complexity(["aab"], 0)
    (1.0, 1.0)
    """
    sample = random.Random(seed).sample(list(queries), SAMPLE) if len(queries) > SAMPLE else queries
    text = "\n".join(query.lower() for query in sample)
    grams = Counter(text[i : i + 2] for i in range(len(text) - 1))
    total = grams.total()
    if not total:
        return 0.0, 0.0
    entropy = -sum(n / total * math.log2(n / total) for n in grams.values())
    return len(grams) / total, entropy + 0.0


def write_dataset(out: Path, dataset: Dataset, seed: int) -> None:
    """Write the pool, the knowledge, the splits, judged replies and the statistics; `out` is whole or absent.

    The training pool is unlabelled (train.jsonl); its hidden answers stand in train.reference.jsonl.
    """
    with whole_folder(out) as folder:
        write_functions(folder / "functions.json", dataset.pool)
        knowledge = [{"term": term, "explanation": explanation} for term, explanation in dataset.knowledge]
        write_json(folder / "knowledge.json", knowledge)
        train = dataset.splits["train"]
        write_examples(folder / "train.jsonl", (replace(row, answers=()) for row in train))
        write_examples(folder / "train.reference.jsonl", train)
        for split in SPLITS[1:]:
            write_examples(folder / f"{split}.jsonl", dataset.splits[split])
        write_functions(folder / "general_functions.json", dataset.general_pool)
        write_examples(folder / "general.jsonl", dataset.general)
        write_verdicts(folder, dataset, seed)
        write_json(folder / "stats.json", statistics(dataset, seed))


def write_verdicts(folder: Path, dataset: Dataset, seed: int) -> None:
    """Write the expert-judged replies and, made from the wrong ones among them, the injection set."""
    expert = dataset.splits["expert"]
    verdicts = dataset.verdicts
    if verdicts is None:
        verdicts = make_verdicts(expert, dataset.pool, seed)
    write_judged(folder / "verdicts.jsonl", verdicts)
    write_judged(folder / "injections.jsonl", make_injections(verdicts, expert, dataset.pool, seed))


def statistics(dataset: Dataset, seed: int) -> dict[str, Any]:
    """The paper's Table 1 row of the test split, and what every split is made of."""
    test = dataset.splits["test"]
    ttr, entropy_bits = complexity([row.query for row in test], seed)
    trained = {call.name for row in dataset.splits["train"] for call in calls(row)}
    return {
        "test_size": len(test),
        "functions": len(dataset.pool),
        "parameters": sum(len(function.parameters) for function in dataset.pool.values()),
        "ttr": round(ttr, 4),
        "entropy_bits": round(entropy_bits, 4),
        "functions_seen": len(trained),
        "functions_unseen": len(dataset.pool) - len(trained),
        "splits": {split: _split_statistics(rows) for split, rows in dataset.splits.items()},
    }


def calls(row: Example) -> list[Call]:
    """The reference call of a row, if it has one."""
    return [answer for answer in row.answers[:1] if isinstance(answer, Call)]


def _split_statistics(rows: list[Example]) -> dict[str, Any]:
    """Rows, templates, functions called and, at most, offered; share of each tag."""
    tags = Counter(tag for row in rows for tag in row.tags)
    return {
        "rows": len(rows),
        "templates": len({row.template for row in rows}),
        "functions": len({call.name for row in rows for call in calls(row)}),
        "offered": max((len(row.candidates) for row in rows), default=0),
        "tags": {tag: round(tags[tag] / len(rows), 4) for tag in sorted(tags)},
    }


def get_source(name: str) -> Source:
    """The source called `name` in params.yaml."""
    require(name in SOURCES, f"dataset.source: {name!r} is none of {', '.join(SOURCES)}")
    return SOURCES[name]


SOURCES: dict[str, Source] = {"home_assistant": home_assistant, "massive": massive, "own": own}
