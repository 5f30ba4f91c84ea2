"""Training examples that share their candidate functions share one prefix.

An anchor brings its candidates; other examples whose right function is among them join as branches,
so every branch still chooses between near functions while the candidates are computed once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from supertiny.core.calls import Call, Pool, Refusal
from supertiny.core.records import Example
from supertiny.model.batches import Branch, Pack
from supertiny.prompt.compressed import PromptConfig, render, response

Encode = Callable[[str], list[int]]
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


def pack(group: Group, pool: Pool, encode: Encode, end_id: int, cfg: PromptConfig) -> Pack:
    """One group as token ids: the candidates as prefix, each query with its answer as a branch."""
    prompts = [render(example, pool, cfg) for example in group.examples]
    return Pack(
        encode(prompts[0].shared),
        tuple(
            Branch(encode(prompt.own), [*encode(" " + response(example.answers[0], pool)), end_id])
            for prompt, example in zip(prompts, group.examples, strict=True)
        ),
    )


def micro_batches(packs: Iterable[Pack], max_tokens: int) -> list[list[Pack]]:
    """Packs of like length together, at most `max_tokens` padded tokens in each micro-batch (one pack at least)."""
    batches: list[list[Pack]] = []
    for one in sorted(packs, key=len):
        if batches and (len(batches[-1]) + 1) * len(one) <= max_tokens:
            batches[-1].append(one)
        else:
            batches.append([one])
    return batches


def steps(
    packs: Sequence[Pack], packs_a_step: int, max_tokens: int, epochs: int, rng: Random
) -> list[list[list[Pack]]]:
    """The whole run: for each optimizer step its micro-batches; every epoch in a new order."""
    plan = []
    for _ in range(epochs):
        order = list(packs)
        rng.shuffle(order)
        plan += [micro_batches(order[at : at + packs_a_step], max_tokens) for at in range(0, len(order), packs_a_step)]
    return plan
