"""What each part of the full prompt is worth: the same queries, one part changed at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from supertiny.core.ask import Chat, Generation
from supertiny.core.records import Example
from supertiny.judge.reference import judge
from supertiny.measure.evaluate import achievable_rate, token_means
from supertiny.prototype.config import ChangeConfig
from supertiny.prototype.prototype import Prototype, parsed

CHOSEN = "chosen"
"""the prototype as it is"""
KEPT = ("n", "ar", "function_accuracy", "failures")


def ablate(
    model: Prototype, queries: Sequence[Example], variants: Mapping[str, ChangeConfig], seed: int
) -> dict[str, dict[str, Any]]:
    """The rate and mean tokens of the prototype as it is (CHOSEN) and of each variant, on the same queries.

    `right` holds the verdict on each query, so that a variant is held against CHOSEN query by query: what is hard about
    one is hard for both and tells nothing. What a variant asks does not hang on the other variants: only what CHOSEN
    was answered is taken over, where the prompt is the same.
    """
    changes = {CHOSEN: ChangeConfig(), **variants}
    models = {name: replace(model, cfg=replace(model.cfg, **_of_prompt(one))) for name, one in changes.items()}
    rows: dict[str, dict[str, Any]] = {}
    known: dict[Chat, Generation] = {}
    for name, one in changes.items():
        asked = fewer(queries, one.candidates)
        chats = models[name].chats(asked)
        new = [chat for chat in dict.fromkeys(chats) if chat not in known]  # an equal prompt is no difference
        found = known | dict(zip(new, model.ask(new, model.cfg.chat, f"ablation: {name}"), strict=True))
        known = known or found
        generations = [found[chat] for chat in chats]
        replies = parsed(asked, generations, model.pool)
        verdicts = list(map(judge, asked, replies))
        rate = achievable_rate(asked, replies, verdicts, seed)
        rows[name] = {
            "change": one.changed(),
            **{key: rate[key] for key in KEPT},
            "right": {query.id: verdict.correct for query, verdict in zip(asked, verdicts, strict=True)},
            "needing_knowledge": rate["by_tag"].get("knowledge", {"n": 0, "ar": None}),
            **token_means(generations),
        }
    return rows


def _of_prompt(change: ChangeConfig) -> dict[str, Any]:
    return {name: value for name, value in change.changed().items() if name != "candidates"}


def fewer(queries: Sequence[Example], candidates: int | None) -> list[Example]:
    """The queries with at most so many functions offered, in the order they had; what a right answer calls stays."""
    if candidates is None:
        return list(queries)
    return [replace(query, candidates=_kept(query, candidates)) for query in queries]


def _kept(query: Example, count: int) -> tuple[str, ...]:
    needed = {getattr(answer, "name", "") for answer in query.answers}
    ranked = sorted(query.candidates, key=lambda name: name not in needed)[:count]
    return tuple(name for name in query.candidates if name in ranked)
