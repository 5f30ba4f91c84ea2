"""Achievable Rate: the share of replies that satisfy their query (paper Eq. 2, 6)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from supertiny.core.calls import Answer, Malformed, Refusal
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.rates import DIGITS, RESAMPLES, share
from supertiny.core.records import Example
from supertiny.judge.reference import Failure, Verdict, has_right_head

Reply = Answer | Malformed


def achievable_rate(
    examples: Sequence[Example],
    replies: Sequence[Reply],
    verdicts: Sequence[Verdict],
    seed: int,
) -> dict[str, Any]:
    """AR = mean over (x, y) of the judge's verdict, its bootstrap 95 % interval, and where it fails; shares are of n.

    `ar` and the failures' shares add up to 1. `function_accuracy` counts replies with an accepted function or refusal,
    whatever their arguments. `by_function` groups by the reference answer. Without examples every rate is None.
    """
    correct = [verdict.correct for verdict in verdicts]
    low, high = interval(sum(correct), len(correct), seed)
    return {
        "n": len(verdicts),
        "ar": share(correct),
        "ar_low": low,
        "ar_high": high,
        "exact_match": share([verdict.exact for verdict in verdicts]),
        "function_accuracy": share([has_right_head(*pair) for pair in zip(examples, replies, strict=True)]),
        "failures": {kind.value: share([verdict.failure == kind for verdict in verdicts]) for kind in Failure},
        "by_function": _split(([_function(example.answers[0])] for example in examples), correct),
        "by_tag": _split((sorted(set(example.tags)) for example in examples), correct),
    }


def interval(successes: int, n: int, seed: int) -> tuple[float | None, float | None]:
    """Percentile bootstrap 95 % interval of a rate; [1, 1] for a perfect one, however small n is.

    A resample of n zeros and ones is a draw from Binomial(n, rate), so no resample is ever written out.
    """
    if n == 0:
        return None, None
    rates = np.random.default_rng(seed).binomial(n, successes / n, RESAMPLES) / n
    low, high = np.quantile(rates, [0.025, 0.975])
    return round(float(low), DIGITS), round(float(high), DIGITS)


def read_verdicts(answers: Path) -> dict[str, bool]:
    """Query id -> whether the answer to it was right, of one model's answers."""
    if not answers.is_file():
        raise UserError(f"{answers} does not exist; run the stage that makes it: `dvc repro {answers}`")
    return {row["id"]: row["correct"] for _, row in read_jsonl(answers)}


def _split(labels: Iterable[Iterable[str]], correct: list[bool]) -> dict[str, dict[str, Any]]:
    """n and AR of every label, sorted; an example counts under each of its labels."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for names, right in zip(labels, correct, strict=True):
        for name in names:
            groups[name].append(right)
    return {name: {"n": len(group), "ar": share(group)} for name, group in sorted(groups.items())}


def _function(answer: Answer) -> str:
    return answer.value if isinstance(answer, Refusal) else answer.name
