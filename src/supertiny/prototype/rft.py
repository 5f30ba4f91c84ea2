"""The training set and what it took: answers judged, prompts compressed (paper Eq. 2, App. C)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from supertiny.core.calls import Answer, Call, Malformed, Pool
from supertiny.core.chat_prompt import parse_full
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.prompt import PromptConfig, render
from supertiny.core.records import Example
from supertiny.core.stats import share
from supertiny.judge.reference import Judge, Reply, Verdict, by_reference
from supertiny.prototype.config import RftSizes

UNREADABLE = "(unreadable)"


def accepted(queries: Sequence[Example], replies: Sequence[Reply], verdicts: Sequence[Verdict]) -> list[Example]:
    """The queries whose reply was judged right, with that reply as their answer."""
    return [
        replace(query, answers=(reply,))
        for query, reply, verdict in zip(queries, replies, verdicts, strict=True)
        if verdict.correct and not isinstance(reply, Malformed)
    ]


def kept_and_dropped(replies: Sequence[Reply], verdicts: Sequence[Verdict]) -> dict[str, dict[str, int]]:
    """Function that was called -> how many of its answers were kept and dropped."""
    kept, dropped = Counter[str](), Counter[str]()
    for reply, verdict in zip(replies, verdicts, strict=True):
        (kept if verdict.correct else dropped)[_head(reply)] += 1
    return {name: {"kept": kept[name], "dropped": dropped[name]} for name in sorted(kept | dropped)}


def precision(verdicts: Sequence[Verdict], truth: Sequence[Verdict]) -> dict[str, Any]:
    """Share of the accepted answers that are right by the hidden references; share of the right ones accepted."""
    right_among = [true.correct for said, true in zip(verdicts, truth, strict=True) if said.correct]
    found_among = [said.correct for said, true in zip(verdicts, truth, strict=True) if true.correct]
    return {"precision": share(right_among), "recall": share(found_among)}


def _head(reply: Reply) -> str:
    answer: Answer | None = reply.call if isinstance(reply, Malformed) else reply
    if answer is None:
        return UNREADABLE
    return answer.name if isinstance(answer, Call) else answer.value


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
        match row:
            case {"id": str(name), "candidates": [*names], "written": str(text), "prompt_tokens": int(tokens)} if (
                name in by_id and all(isinstance(one, str) and one in pool for one in names)
            ):
                query = replace(by_id[name], candidates=tuple(names))
                found.append(Answered(query, parse_full(text, {one: pool[one] for one in names}), tokens))
            case _:
                raise UserError(f"{path}, line {number}: no reply to a query of the pool; run stage prototype again")
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
    labelled = [query for query in queries if query.id not in seen and query.answers][: sizes.labelled]
    if not kept and not labelled:
        raise UserError("rft: the judge accepted no answer and profile rft.labelled is 0: nothing to train on")
    counts = {
        "answered": len(asked),
        "accepted": len(kept),
        "labelled": len(labelled),
        **precision(*_of_labelled(asked, verdicts, by_reference(asked, replies))),
        "full_prompt_tokens": _mean([one.prompt_tokens for one in answers]),
        "compressed_prompt_tokens": _mean([_compressed(query, pool, encode, prompt) for query in asked]),
        "by_function": kept_and_dropped(replies, verdicts),
    }
    return kept + labelled, counts


def _of_labelled(
    asked: Sequence[Example], verdicts: Sequence[Verdict], truth: Sequence[Verdict]
) -> tuple[list[Verdict], list[Verdict]]:
    """What was said and what is true where there is a hidden reference to tell."""
    rows = [pair for query, *pair in zip(asked, verdicts, truth, strict=True) if query.answers]
    return [said for said, _ in rows], [true for _, true in rows]


def _compressed(query: Example, pool: Pool, encode: Encode, cfg: PromptConfig) -> int:
    prompt = render(query, pool, cfg)
    return len(encode(prompt.shared)) + len(encode(prompt.own))


def _mean(values: Sequence[int]) -> float | None:
    return round(sum(values) / len(values), 1) if values else None
