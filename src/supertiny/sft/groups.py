"""Training examples that share their candidate functions share one prefix.

An anchor brings its candidates; other examples whose right function is among them join as branches,
so every branch still chooses between near functions while the candidates are computed once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from supertiny.core.calls import Answer, Call, Pool, Refusal
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


def drop_function(group: Group, rng: Random) -> Group:
    """The same queries without one function that some of them need, so that the model must read what is offered.

    A query that another offered function serves as well gets that call; else there is no appropriate function.
    """
    needed = sorted({answer.name for e in group.examples if isinstance(answer := e.answers[0], Call)})
    if not needed:
        return group
    dropped = rng.choice(needed)
    offered = tuple(name for name in group.examples[0].candidates if name != dropped)

    def without(example: Example) -> Example:
        first = example.answers[0]
        if isinstance(first, Call) and first.name == dropped:
            others = tuple(a for a in example.answers if isinstance(a, Call) and a.name in offered)
            return replace(example, candidates=offered, answers=others or (Refusal.NO_FUNCTION,))
        return replace(example, candidates=offered)

    return Group(tuple(without(example) for example in group.examples))


def rename_functions(group: Group, pool: Pool, rng: Random) -> tuple[Group, Pool]:
    """The same queries where every offered function has its words in another order, and the pool that says so.

    A name learned by heart is then wrong; one read off the candidates is right.

    >>> from supertiny.core.calls import Function
    >>> pool = {"turn_on_fan": Function("turn_on_fan", "Turns on a fan")}
    >>> example = Example(id="1", query="fan", candidates=("turn_on_fan",), answers=(Call("turn_on_fan", {}),))
    >>> renamed, functions = rename_functions(Group((example,)), pool, Random(0))
    >>> renamed.examples[0].answers[0].name, functions["turn_fan_on"].description
    ('turn_fan_on', 'Turns on a fan')
    """
    names: dict[str, str] = {}
    for name in group.examples[0].candidates:
        words = name.split("_")
        rng.shuffle(words)
        other = "_".join(words)
        names[name] = name if other in pool or other in names.values() else other
    functions = {**pool, **{other: replace(pool[name], name=other) for name, other in names.items()}}
    return Group(tuple(_renamed(example, names) for example in group.examples)), functions


def _renamed(example: Example, names: Mapping[str, str]) -> Example:
    def answer(one: Answer) -> Answer:
        return replace(one, name=names.get(one.name, one.name)) if isinstance(one, Call) else one

    return replace(
        example,
        candidates=tuple(names[name] for name in example.candidates),
        answers=tuple(answer(one) for one in example.answers),
        history=tuple(replace(turn, answer=answer(turn.answer)) for turn in example.history),
    )
