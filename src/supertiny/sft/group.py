"""Training examples that share their candidate functions share one prefix.

An anchor brings its candidates; other examples whose right function is among them join as branches,
so every branch still chooses between near functions while the candidates are computed once.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from supertiny.core.calls import Call, Refusal
from supertiny.core.records import Example

ANYWHERE = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Examples under one list of candidates; every one of them has `candidates` as its own."""

    examples: tuple[Example, ...]


def group(examples: Sequence[Example], size: int, rng: Random) -> list[Group]:
    """Every example once, in groups of at most `size` under the candidates of the group's first.

    A call joins where its function is offered; a refusal that is right whatever is offered joins anywhere, as often
    as there are such; any other refusal keeps its own candidates, so it only ever comes first.
    """
    order = list(examples)
    rng.shuffle(order)
    waiting: dict[str, list[Example]] = defaultdict(list)
    for example in order:
        if (key := _joins(example)) is not None:
            waiting[key].append(example)
    anywhere_share = len(waiting[ANYWHERE]) / len(order)
    used: set[str] = set()

    def next_waiting(key: str) -> Example | None:
        while waiting[key] and waiting[key][-1].id in used:
            waiting[key].pop()
        return waiting[key].pop() if waiting[key] else None

    groups = []
    for anchor in order:
        if anchor.id in used:
            continue
        used.add(anchor.id)
        members = [anchor]
        keys = [ANYWHERE, *anchor.candidates]
        while len(members) < size and keys:
            anywhere = keys[0] == ANYWHERE and (len(keys) == 1 or rng.random() < anywhere_share)
            key = ANYWHERE if anywhere else rng.choice(keys[keys[0] == ANYWHERE :])
            joining = next_waiting(key)
            if joining is None:
                keys.remove(key)
            else:
                used.add(joining.id)
                members.append(replace(joining, candidates=anchor.candidates))
        groups.append(Group(tuple(members)))
    return groups


def _joins(example: Example) -> str | None:
    """Where an example may join: the function it needs, ANYWHERE, or None for nowhere."""
    answer = example.answers[0]
    if isinstance(answer, Call):
        return answer.name
    return ANYWHERE if answer is Refusal.UNCLEAR or "out_of_scope" in example.tags else None
