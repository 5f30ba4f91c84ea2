"""Keep the answers that the judge accepts; they become the training set of the small models (paper Eq. 2)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from supertiny.core.calls import Answer, Call, Malformed
from supertiny.core.config import require
from supertiny.core.rates import share
from supertiny.core.records import Example
from supertiny.judge.kinds import Reply
from supertiny.judge.reference import Verdict

UNREADABLE = "(unreadable)"


@dataclass(kw_only=True, slots=True)
class RftSizes:
    """Section `rft` of the profile."""

    labelled: int
    """further rows of the pool that join with the label the data has, where the prototype here is too weak to earn a
    training set; 0: what the judge accepts is all there is"""

    def __post_init__(self) -> None:
        require(self.labelled >= 0, f"labelled: expected 0 or more, got {self.labelled}")


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
