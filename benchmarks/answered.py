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
    """A call of a function that was not offered is malformed."""
    examples = labelled(splits)
    found = generate(model, requests(examples, pool, prompt), decode, load_profile("generate", GenerateMachine))
    replies = [
        Replied(read_answer(one.text, {name: pool[name] for name in example.candidates}, prompt.answer), one)
        for example, one in zip(examples, found, strict=True)
    ]
    return rate(splits, replies, seed)
