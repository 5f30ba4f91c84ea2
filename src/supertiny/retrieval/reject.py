"""Algorithm 1: descriptions that led to a right call, and lie near the function it called, are kept (paper App. D)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from supertiny.core.ask import DecodeConfig, Request, requests
from supertiny.core.calls import Call, Pool, parse_reply
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example
from supertiny.core.stats import share
from supertiny.judge.reference import Judge, Reply
from supertiny.model.answer import Replies
from supertiny.retrieval.config import DescribeSizes, RejectConfig
from supertiny.retrieval.describe import described
from supertiny.retrieval.index import FunctionIndex
from supertiny.retrieval.recall import needed, with_call

Rank = Callable[[Sequence[str], int], list[list[str]]]
"""(descriptions, k) -> for each the k nearest functions, nearest first"""
MakeCall = Callable[[Sequence[Example]], list[Reply]]
"""examples -> for each the call that a model made out of the example's candidates"""


def rank_in(index: FunctionIndex) -> Rank:
    """Rank the functions of `index` by the cosine of their documents with a description."""

    def rank(texts: Sequence[str], k: int) -> list[list[str]]:
        return [[name for name, _ in found] for found in index.search(index.embed(texts), k)]

    return rank


def calls_by(kept: Replies[Request, DecodeConfig], pool: Pool, prompt: PromptConfig, decode: DecodeConfig) -> MakeCall:
    """Calls by a fine-tuned model with its compressed prompt; one that was ever made is never made again.

    The paper's large model calls; the one of the CPU profile is too weak for its right calls to sift descriptions.
    """

    def call(examples: Sequence[Example]) -> list[Reply]:
        asked = requests(examples, pool, prompt)
        offered = [{one.name: one for one in request.candidates} for request in asked]
        found = kept.ask(asked, decode, "calls")
        return [parse_reply(one.text, names, prompt.answer) for one, names in zip(found, offered, strict=True)]

    return call


def sampled_and_labelled(rows: Sequence[Example], sizes: DescribeSizes) -> tuple[list[Example], list[Example]]:
    """The queries whose descriptions are sampled and, after them, those that join as labelled; all need a call."""
    called = with_call(rows)
    end = sizes.queries or len(called)
    return called[:end], called[end:][: sizes.labelled]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One description and what came of it."""

    query: Example
    """with the candidates that the description found"""
    description: str
    nearest: tuple[str, ...]
    """the functions nearest to the description, nearest first; any others were not offered"""
    reply: Reply
    right: bool
    """the judge's verdict of the reply"""

    def kept(self, within: int) -> bool:
        """Whether the call is right and the function it calls is among the `within` nearest."""
        return self.right and isinstance(self.reply, Call) and self.reply.name in self.nearest[:within]


def attempt(
    queries: Sequence[Example],
    sampled: Sequence[Sequence[str]],
    rank: Rank,
    call: MakeCall,
    judge: Judge,
    pool: Pool,
    cfg: RejectConfig,
) -> list[Attempt]:
    """Every different description that was sampled for each query, tried: its candidates, its call, the verdict.

    An empty description is not tried. The candidates stand in the order of the pool: the rank shall not tell the
    caller which one to call, and descriptions that find the same functions ask for the same call, which is made once.
    """
    each = zip(queries, sampled, strict=True)
    pairs = [(query, text) for query, texts in each for text in dict.fromkeys(texts) if text]
    ranked = rank([text for _, text in pairs], cfg.candidates)
    asked = [
        replace(query, candidates=tuple(name for name in pool if name in names))
        for (query, _), names in zip(pairs, ranked, strict=True)
    ]
    replies = call(asked)
    verdicts = judge(asked, replies)
    return [
        Attempt(query, text, tuple(names), reply, verdict.correct)
        for query, (_, text), names, reply, verdict in zip(asked, pairs, ranked, replies, verdicts, strict=True)
    ]


def pairs_to_learn(
    attempts: Sequence[Attempt], labelled: Sequence[Example], pool: Pool, cfg: RejectConfig
) -> list[dict[str, str]]:
    """Lines of {"id", "description"}: what is kept, then `labelled` queries with their function's document."""
    kept = [(one.query.id, one.description) for one in attempts if one.kept(cfg.keep_within)]
    known = [(one.id, described(pool[needed(one)])) for one in labelled]
    return [{"id": name, "description": text} for name, text in kept + known]


def counts(
    sampled: Sequence[Sequence[str]], attempts: Sequence[Attempt], num_labelled: int, cfg: RejectConfig
) -> dict[str, Any]:
    """What became of the descriptions; `by_function` counts them under the reference function of their query.

    `different` are those tried; `reference_within`, `right` and `kept` count of them. The first asks the hidden
    reference, which no kind of judge but `reference` sees.
    """
    kept = [one for one in attempts if one.kept(cfg.keep_within)]
    tried, held = (Counter(needed(one.query) for one in rows) for rows in (attempts, kept))
    found = [needed(one.query) in one.nearest[: cfg.keep_within] for one in attempts]
    return {
        "queries": len(sampled),
        "described": sum(map(len, sampled)),
        "empty": sum(not text for texts in sampled for text in texts),
        "different": len(attempts),
        "reference_within": sum(found),
        "reference_within_share": share(found),
        "right": sum(one.right for one in attempts),
        "kept": len(kept),
        "queries_with_kept": len({one.query.id for one in kept}),
        "labelled": num_labelled,
        "by_function": {name: {"tried": tried[name], "kept": held[name]} for name in sorted(tried)},
    }
