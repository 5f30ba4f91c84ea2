"""What each part of the full prompt is worth: the same queries, one part changed at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from supertiny.core.config import require
from supertiny.core.records import Example
from supertiny.judge.reference import judge
from supertiny.measure.achievable import achievable_rate
from supertiny.measure.workload import token_means
from supertiny.prototype.answer import Prototype, parsed

KEPT = ("n", "ar", "ar_low", "ar_high", "function_accuracy", "failures")


@dataclass(kw_only=True, slots=True)
class ChangeConfig:
    """One entry of section `ablation` of params.yaml: what differs from section `prototype`; None: nothing."""

    examples: str | None = None
    num_examples: int | None = None
    thought: bool | None = None
    describe: bool | None = None
    knowledge: bool | None = None
    constrained: bool | None = None
    candidates: int | None = None
    """functions offered, the needed one among them"""

    def __post_init__(self) -> None:
        require(self.candidates is None or self.candidates > 0, "candidates: expected more than 0")

    def changed(self) -> dict[str, Any]:
        """The fields that differ."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def ablate(
    model: Prototype, queries: Sequence[Example], variants: Mapping[str, ChangeConfig], seed: int
) -> dict[str, dict[str, Any]]:
    """The rate and mean tokens of the prototype as it is (`chosen`) and of each variant, on the same queries."""
    changes = {"chosen": ChangeConfig(), **variants}
    models = {name: replace(model, cfg=replace(model.cfg, **_of_prompt(one))) for name, one in changes.items()}
    return {
        name: {"change": one.changed(), **_rated(models[name], fewer(queries, one.candidates), name, seed)}
        for name, one in changes.items()
    }


def _of_prompt(change: ChangeConfig) -> dict[str, Any]:
    return {name: value for name, value in change.changed().items() if name != "candidates"}


def _rated(model: Prototype, queries: Sequence[Example], name: str, seed: int) -> dict[str, Any]:
    generations = model.answer(queries, f"ablation: {name}")
    replies = parsed(queries, generations, model.pool)
    rate = achievable_rate(queries, replies, list(map(judge, queries, replies)), seed)
    needing = rate["by_tag"].get("knowledge", {"n": 0, "ar": None})
    return {**{key: rate[key] for key in KEPT}, "needing_knowledge": needing, **token_means(generations)}


def fewer(queries: Sequence[Example], candidates: int | None) -> list[Example]:
    """The queries with at most so many functions offered, in the order they had; what a right answer calls stays."""
    if candidates is None:
        return list(queries)
    return [replace(query, candidates=_kept(query, candidates)) for query in queries]


def _kept(query: Example, count: int) -> tuple[str, ...]:
    needed = {getattr(answer, "name", "") for answer in query.answers}
    ranked = sorted(query.candidates, key=lambda name: name not in needed)[:count]
    return tuple(name for name in query.candidates if name in ranked)
