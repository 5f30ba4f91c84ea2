"""The training set and what it took: answers judged, prompts compressed (paper Eq. 2, App. C)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertiny.core.calls import Pool
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.records import Example
from supertiny.judge.kinds import Judge, Reply, by_reference
from supertiny.prompt.compressed import PromptConfig, render
from supertiny.prototype.prompt import parse_full
from supertiny.rft.accept import RftSizes, accepted, kept_and_dropped, precision

Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Answered:
    """A query of the pool, the prototype's reply, and the tokens of the full prompt it was asked with."""

    query: Example
    reply: Reply
    prompt_tokens: int


def read_answers(path: Path, queries: Sequence[Example], pool: Pool) -> list[Answered]:
    """The prototype's file, each reply read against the functions its query was offered."""
    by_id = {query.id: query for query in queries}
    found = []
    for number, row in read_jsonl(path):
        query = by_id.get(row.get("id", "")) if isinstance(row, dict) else None
        if query is None or not isinstance(row.get("written"), str) or not isinstance(row.get("prompt_tokens"), int):
            raise UserError(f"{path}, line {number}: no reply to a query of the pool; run stage prototype again")
        reply = parse_full(row["written"], {name: pool[name] for name in query.candidates})
        found.append(Answered(query, reply, row["prompt_tokens"]))
    return found


def build(
    queries: Sequence[Example],
    answers: Sequence[Answered],
    judge: Judge,
    pool: Pool,
    encode: Encode,
    prompt: PromptConfig,
    sizes: RftSizes,
) -> tuple[list[Example], dict[str, Any]]:
    """The examples to train on, accepted ones first, and the counts of the report."""
    asked, replies = [one.query for one in answers], [one.reply for one in answers]
    verdicts = judge(asked, replies)
    kept = accepted(asked, replies, verdicts)
    seen = {query.id for query in asked}
    labelled = [query for query in queries if query.id not in seen][: sizes.labelled]
    if not kept and not labelled:
        raise UserError("rft: the judge accepted no answer and profile rft.labelled is 0: nothing to train on")
    counts = {
        "answered": len(asked),
        "accepted": len(kept),
        "labelled": len(labelled),
        **precision(verdicts, by_reference(asked, replies)),
        "full_prompt_tokens": _mean([one.prompt_tokens for one in answers]),
        "compressed_prompt_tokens": _mean([_compressed(query, pool, encode, prompt) for query in asked]),
        "by_function": kept_and_dropped(replies, verdicts),
    }
    return kept + labelled, counts


def _compressed(query: Example, pool: Pool, encode: Encode, cfg: PromptConfig) -> int:
    prompt = render(query, pool, cfg)
    return len(encode(prompt.shared)) + len(encode(prompt.own))


def _mean(values: Sequence[int]) -> float | None:
    return round(sum(values) / len(values), 1) if values else None
