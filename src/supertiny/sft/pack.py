"""Training examples that share their candidate functions share one prefix.

An anchor brings its candidates; other examples whose right function is among them join as branches,
so every branch still chooses between near functions while the candidates are computed once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from supertiny.core.calls import Call, Pool
from supertiny.core.records import Example
from supertiny.model.batches import Branch, Pack
from supertiny.prompt.compressed import PromptConfig, render, response

Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Group:
    """Examples under one list of candidates; every one of them has `candidates` as its own."""

    examples: tuple[Example, ...]


def group(examples: Sequence[Example], size: int, rng: Random) -> list[Group]:
    """Every example once, in groups of at most `size` under the candidates of the group's first."""
    order = list(examples)
    rng.shuffle(order)
    waiting: dict[str, list[Example]] = defaultdict(list)
    for example in order:
        if isinstance(example.answers[0], Call):
            waiting[example.answers[0].name].append(example)
    used: set[str] = set()
    groups = []
    for anchor in order:
        if anchor.id in used:
            continue
        used.add(anchor.id)
        members = [anchor]
        open_functions = list(anchor.candidates)
        while len(members) < size and open_functions:
            name = rng.choice(open_functions)
            while waiting[name] and waiting[name][-1].id in used:
                waiting[name].pop()
            if waiting[name]:
                joining = waiting[name].pop()
                used.add(joining.id)
                members.append(replace(joining, candidates=anchor.candidates))
            else:
                open_functions.remove(name)
        groups.append(Group(tuple(members)))
    return groups


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
