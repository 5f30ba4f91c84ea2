"""A model of a benchmark answers the test queries in this process, and is judged as every system is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supertiny.core.ask import DecodeConfig, GenerateMachine, requests
from supertiny.core.calls import Pool
from supertiny.core.config import load_profile
from supertiny.core.prompt import PromptConfig, read_answer
from supertiny.core.records import Example
from supertiny.engines.native.answer import generate
from supertiny.measure.compare import rated
from supertiny.measure.compare import splits as columns
from supertiny.measure.evaluate import Replied, labelled, rate

Rated = tuple[dict[str, Any], list[dict[str, Any]]]
"""rates of each split, and a row an answer"""


def answered(
    model: Path,
    splits: Mapping[str, Sequence[Example]],
    pool: Pool,
    prompt: PromptConfig,
    decode: DecodeConfig,
    seed: int,
) -> Rated:
    """A call of a function that was not offered is malformed; intervals are over clusters of queries."""
    examples = labelled(splits)
    found = generate(model, requests(examples, pool, prompt), decode, load_profile("generate", GenerateMachine))
    replies = [
        Replied(read_answer(one.text, {name: pool[name] for name in example.candidates}, prompt.answer), one)
        for example, one in zip(examples, found, strict=True)
    ]
    rates, rows = rate(splits, replies, seed)
    return sure(rates, rows, splits, seed), rows


def sure(
    rates: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], splits: Mapping[str, Sequence[Example]], seed: int
) -> dict[str, Any]:
    """The rates with the intervals that hold for queries of one template, or of one function never trained on."""
    right = {row["id"]: row["correct"] for row in rows}
    found = dict(rates)
    for name, of in columns(splits["test"], splits["ood"]).items():
        if name in rates:
            found[name] = {**rates[name], **rated(list(of.values()), [right[one] for one in of], seed)}
    return found
