"""How many examples are trained on, behind which lists of functions, and in which words.

Examples that share a list share one prefix, which is computed once. Half of the groups have the list that a served
model has; the others have fewer functions in any order, in other words, so that the list must be read.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from supertiny.core.calls import Call, Pool, Refusal
from supertiny.core.config import require, require_positive
from supertiny.core.records import OUT_OF_SCOPE, Example
from supertiny.data.dataset import nearness
from supertiny.sft.substitute import substituted


@dataclass(kw_only=True, slots=True)
class GeneralSizes:
    """Section `sizes.general` of the profile."""

    examples: int
    """training rows; 0: all there are"""
    dev_examples: int
    """rows of dev whose loss is logged"""

    def __post_init__(self) -> None:
        require(self.examples >= 0, f"examples: expected 0 or more, got {self.examples}")
        require_positive(self, "dev_examples")


@dataclass(kw_only=True, slots=True)
class SftSizes:
    """Section `sizes.sft` of the profile."""

    examples: int
    """training examples; 0: all there are"""
    dev_examples: int
    """examples of the dev split whose loss is logged"""

    def __post_init__(self) -> None:
        require(self.examples >= 0, f"examples: expected 0 or more, got {self.examples}")
        require_positive(self, "dev_examples")


@dataclass(kw_only=True, slots=True)
class ListConfig:
    """How long a drawn list is."""

    least: int
    """functions; rows that bring fewer keep their own"""
    most: int
    """functions, or all that a row brings"""

    def __post_init__(self) -> None:
        require_positive(self, "least")
        require(self.least <= self.most, f"most: expected at least {self.least}, which is least, got {self.most}")


@dataclass(kw_only=True, slots=True)
class PackConfig:
    """Section `pack` of params.yaml: how training examples become prompts, the same for all that is trained on them."""

    group_size: int
    """examples that share one list of candidates, and its forward pass"""
    whole: float
    """share of the groups that keep their rows' own list, in its order; the others' list is drawn from it"""
    list: ListConfig
    """of the drawn ones"""
    substitution: float
    """share of the groups with a drawn list that are said in other words"""
    function_dropout: float
    """share of all groups that lose a function one of them needs; its queries then have no appropriate function"""
    general: float
    """groups of the general functions for each one of the domain, where there are any"""

    def __post_init__(self) -> None:
        require_positive(self, "group_size")
        for name in ("whole", "substitution", "function_dropout"):
            require(0 <= getattr(self, name) <= 1, f"{name}: expected 0..1, got {getattr(self, name)}")
        require(self.general >= 0, f"general: expected 0 or more, got {self.general}")

    def as_they_are(self) -> "PackConfig":
        """The same without a change of candidates or words, of the domain alone: how dev is read."""
        return replace(self, whole=1.0, substitution=0.0, function_dropout=0.0, general=0.0)


ANYWHERE = ""
NEAR_SHARE = 0.5
"""of a drawn list: the functions nearest to the one that the group's first row needs; chance chooses the others"""


@dataclass(frozen=True, slots=True)
class Group:
    """Examples under one list of candidates; every one of them has `candidates` as its own."""

    examples: tuple[Example, ...]


def drawn(examples: Sequence[Example], pool: Pool, cfg: PackConfig, rng: Random) -> Iterator[tuple[Group, Pool]]:
    """Every example once, in groups behind lists that are drawn as `cfg` says, each with the pool that it speaks of.

    A group's first row brings the functions: no list offers one that it does not. The rows that follow in a random
    order join where they fit.
    """
    waiting = _Waiting(examples, rng)
    while first := waiting.first():
        whole = len(first.candidates) < cfg.list.least or rng.random() < cfg.whole
        offered = first.candidates if whole else _list(first, pool, cfg.list, rng)
        members = [first, *waiting.fitting(offered, cfg.group_size - 1)]
        one, functions = Group(tuple(replace(member, candidates=offered) for member in members)), pool
        if rng.random() < cfg.function_dropout:
            one = drop_function(one, rng)
        if not whole and rng.random() < cfg.substitution:
            said, functions = substituted(one.examples, pool, rng)
            one = Group(said)
        yield one, functions


def _list(first: Example, pool: Pool, cfg: ListConfig, rng: Random) -> tuple[str, ...]:
    """Some of the functions that `first` brings, the one it needs among them, in a random order."""
    answer = first.answers[0]
    near = answer.name if isinstance(answer, Call) else rng.choice(first.candidates)
    others = [name for name in first.candidates if name != near]
    rng.shuffle(others)
    others.sort(key=lambda name: -nearness(pool[near], pool[name]))
    places = min(rng.randint(cfg.least, cfg.most), len(first.candidates)) - 1
    num_near = round(places * NEAR_SHARE)
    found = [near, *others[:num_near], *rng.sample(others[num_near:], places - num_near)]
    rng.shuffle(found)
    return tuple(found)


Needs = str | frozenset[str]


class _Waiting:
    """Examples in a random order, each until it is in a group."""

    def __init__(self, examples: Sequence[Example], rng: Random) -> None:
        self.order = rng.sample(examples, len(examples))
        self.next = 0
        self.places: dict[Needs, deque[int]] = defaultdict(deque)
        for place, example in enumerate(self.order):
            self.places[_needs(example)].append(place)

    def first(self) -> Example | None:
        """The first that waits."""
        while self.next < len(self.order):
            queue, self.next = self.places.get(_needs(self.order[self.next])), self.next + 1
            if queue and queue[0] == self.next - 1:
                return self.order[queue.popleft()]
        return None

    def fitting(self, offered: Sequence[str], most: int) -> list[Example]:
        """The first ones, `most` at most, whose answer is right behind the list `offered`, in their order."""
        lists = {key for key in self.places if isinstance(key, frozenset) and key.issuperset(offered)}
        keys: list[Needs] = [ANYWHERE, *offered, *lists]
        heads = [(self.places[key][0], key) for key in keys if self.places.get(key)]
        heapq.heapify(heads)
        found: list[Example] = []
        while heads and len(found) < most:
            place, key = heapq.heappop(heads)
            found.append(self.order[place])
            self.places[key].popleft()
            if self.places[key]:
                heapq.heappush(heads, (self.places[key][0], key))
            else:
                del self.places[key]
        return found


def _needs(example: Example) -> Needs:
    """Which lists an example may join: those with this function, any (ANYWHERE), or those of no others than these.

    For a refusal may be right because something is not offered: then it is right behind any part of its own list.
    """
    answer = example.answers[0]
    if isinstance(answer, Call):
        return answer.name
    if answer is Refusal.UNCLEAR or OUT_OF_SCOPE in example.tags:
        return ANYWHERE
    return frozenset(example.candidates)


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
