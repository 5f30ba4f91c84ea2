"""What every source of data gives back, the parameters that shape it, what a query is offered and explained."""

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from supertiny.core.calls import Function, Pool
from supertiny.core.config import require
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.core.prompt import named, spaced
from supertiny.core.records import Example
from supertiny.judge.verdicts import Judged

SPLITS = ("train", "expert", "dev", "dev_ood", "test", "ood")
NEW = ("dev_ood", "ood")
"""splits about functions that are never trained on: the first to choose by, the second for the last look"""
DOMAIN = "domain"
"""what the functions of all other splits are held out for: nothing"""
LISTS = ("pool", "oracle")


class Whole:
    """Offers `pool` as it is: a prompt's longest part is then one text for all queries, computed once (App. J)."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def offer(self, rng: random.Random, near: str | None, without: Collection[str] = ()) -> tuple[str, ...]:
        """Every name in the pool's order, but none of `without`."""
        return tuple(name for name in self.pool if name not in without)


class Oracle:
    """Draws what a retriever of recall 1 would offer from `pool`, for pools that are longer than a prompt may be."""

    def __init__(self, pool: Pool, num_candidates: int, hard_share: float) -> None:
        self.pool = dict(pool)
        self.num_candidates = num_candidates
        self.hard_share = hard_share
        self._nearest = cache(self._rank)

    def offer(self, rng: random.Random, near: str | None, without: Collection[str] = ()) -> tuple[str, ...]:
        """`near`, hard and random others, none of `without`, in the pool's order; nothing where `near` is not known.

        In that order prompts begin alike wherever they offer the same.
        """
        if near is None:
            return ()
        chosen = [near] if near not in without else []
        excluded = {near, *without}
        places = min(self.num_candidates, len(self.pool)) - len(chosen)
        hard = [name for name in self._nearest(near) if name not in excluded][: 2 * self.num_candidates]
        num_hard = min(round(places * self.hard_share), len(hard))
        weights = [1 / (rank + 1) for rank in range(len(hard))]
        chosen += _weighted(rng, hard, weights, num_hard)
        rest = [name for name in self.pool if name not in excluded and name not in chosen]
        chosen += rng.sample(rest, min(places - num_hard, len(rest)))
        return tuple(name for name in self.pool if name in chosen)

    def _rank(self, near: str) -> tuple[str, ...]:
        """Every other function, nearest first."""
        target = self.pool.get(near, Function(near, ""))
        others = [name for name in self.pool if name != near]
        return tuple(sorted(others, key=lambda name: (-nearness(target, self.pool[name]), name)))


class Lists:
    """Which functions the rows of a split may know, and what each row is offered of them.

    dev_ood adds the functions held out for it to those of the domain, ood all that are left. The pool has them in this
    order, so that each of the three lists begins as the one before: what was computed for it serves again.
    """

    def __init__(self, cfg: "DatasetConfig", pool: Pool, held_out: Mapping[str, str]) -> None:
        """`held_out`: function -> the split of `NEW` that is about it; all others are of the domain."""
        levels = (DOMAIN, *NEW)
        self.pool = {name: one for level in levels for name, one in pool.items() if held_out.get(name, DOMAIN) == level}
        self._known: dict[str, Pool] = {}
        self._offers: dict[str, Whole | Oracle] = {}
        for at, level in enumerate(levels):
            known = {name: one for name, one in self.pool.items() if held_out.get(name, DOMAIN) in levels[: at + 1]}
            self._known[level] = known
            oracle = cfg.lists == "oracle"
            self._offers[level] = Oracle(known, cfg.num_candidates, cfg.hard_share) if oracle else Whole(known)

    def known(self, split: str) -> Pool:
        """All that a row of `split` may be offered or answered with."""
        return self._known[split if split in NEW else DOMAIN]

    def offer(self, split: str, rng: random.Random, near: str | None, without: Collection[str] = ()) -> tuple[str, ...]:
        """What a row of `split` is offered that asks for `near`, or for nobody knows what (None)."""
        return self._offers[split if split in NEW else DOMAIN].offer(rng, near, without)


def nearness(one: Function, other: Function) -> float:
    """Overlap of the names' words (Jaccard) plus 1/2 where the domain is the same.

    >>> nearness(Function("turn_on_light", "", {}, "light"), Function("turn_off_light", "", {}, "light"))
    1.0
    """
    words, others = (set(spaced(each.name).replace("_", " ").split()) for each in (one, other))
    same_domain = bool(one.domain) and one.domain == other.domain
    return len(words & others) / max(len(words | others), 1) + 0.5 * same_domain


def _weighted(rng: random.Random, names: list[str], weights: list[float], count: int) -> list[str]:
    """`count` distinct names, likelier with weight (Efraimidis and Spirakis)."""
    keys = [rng.random() ** (1 / weight) for weight in weights]
    order = sorted(range(len(names)), key=lambda i: -keys[i])
    return [names[i] for i in order[:count]]


Knowledge = list[tuple[str, str]]
"""(term, explanation) pairs; the explanation of a term found in a query joins the prompt"""


@dataclass(kw_only=True, slots=True)
class Dataset:
    """A function pool, a knowledge base, and labelled examples under the names of `SPLITS`."""

    pool: dict[str, Function]
    knowledge: Knowledge
    splits: dict[str, list[Example]]
    verdicts: list[Judged] | None = None
    """replies to expert examples that the user's experts judged; None: they are made from the expert split"""
    general_pool: dict[str, Function] = field(default_factory=dict)
    """functions of other domains, which are trained on beside the task's own"""
    general: list[Example] = field(default_factory=list)
    """labelled examples of `general_pool`, without candidates"""


@dataclass(kw_only=True, slots=True)
class HomeConfig:
    """Shares of the home_assistant source; each is a share of the rows of a split unless it says otherwise."""

    language: str
    """language of the grammar; the words of the home are English, so: en"""
    follow_up_share: float
    """rows whose call depends on the previous turn"""
    distractor_share: float
    """other rows that carry an unrelated earlier turn"""
    nickname_share: float
    """rows with a named device or area that call it by its nickname"""
    no_function_share: float
    """rows answered `No appropriate function`"""
    missing_share: float
    """share of these that ask for a function of the pool which is not offered to them"""
    unclear_share: float
    """rows answered `Request unclear`"""
    decoration_share: float
    """rows with a please, a can you, and the like"""
    test_template_share: float
    """share of the templates of every function kept for test"""
    dev_template_share: float
    """share of the templates of every function kept for dev"""
    expert_template_share: float
    """share of the templates of every function kept for expert"""
    held_out_share: float
    """share of the home's devices that no train or expert row names"""
    dev_ood_functions: list[str]
    """functions of the domain that only dev_ood asks for"""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.language == "en", f"language: only en has a home to talk about, got {self.language!r}")
        for one in fields(self):
            if one.type is float:
                require(0 <= getattr(self, one.name) <= 1, f"{one.name}: must lie in [0, 1]")
        used = self.follow_up_share + self.no_function_share + self.unclear_share
        require(used < 1, "follow_up_share + no_function_share + unclear_share: must be below 1")


@dataclass(kw_only=True, slots=True)
class MassiveConfig:
    """Where MASSIVE lies and which of it is out of domain."""

    path: str
    """the official <locale>.jsonl"""
    ood_scenarios: list[str]
    """scenarios whose intents are never trained on, and only ood asks for"""
    dev_ood_scenarios: list[str]
    """and only dev_ood"""

    def __post_init__(self) -> None:
        """No scenario is held out for both."""
        both = sorted(set(self.ood_scenarios) & set(self.dev_ood_scenarios))
        require(not both, f"dev_ood_scenarios: {', '.join(both)}: also in ood_scenarios; leave it in one of them")


@dataclass(kw_only=True, slots=True)
class OwnConfig:
    """Where the user's own files lie."""

    functions: str
    """function pool: JSON list of tools in the OpenAI schema"""
    queries: str
    """queries: JSONL of examples, with or without `answers`"""
    verdicts: str | None
    """replies that experts judged: JSONL of {"example", "reply", "correct"}; null: made from labelled queries"""
    knowledge: str | None
    """knowledge base: JSON list of {"term", "explanation"}; null: the queries bring their explanations, if any"""


_GENERAL = re.compile(r"skills|none|path:data/(?:own|massive)/(?!.*\.\.)[^/].*|hf:[^@\s]+@[^@\s]+")
"""a folder lies where the deps of stage `dataset` are, so that a change of it is a change of theirs"""


@dataclass(kw_only=True, slots=True)
class DatasetConfig:
    """The `dataset` section of params.yaml."""

    source: str
    """home_assistant | massive | own"""
    lists: str
    """what a row is offered. pool: all functions in one order; oracle: what a retriever of recall 1 would find"""
    num_candidates: int
    """oracle, and retrievers: functions offered in the prompt of a row"""
    hard_share: float
    """oracle: share of the distractors taken from the functions nearest to the reference"""
    ood_seen_share: float
    """share of the OOD split whose function is in domain (issue: .25 to .5)"""
    home_assistant: HomeConfig
    massive: MassiveConfig
    own: OwnConfig
    general: str = "none"
    """functions of other domains: skills | path:<folder of data/own> | hf:<repo>@<revision> | none"""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.lists in LISTS, f"lists: {self.lists!r} is none of {', '.join(LISTS)}")
        require(self.num_candidates >= 1, f"num_candidates: must be at least 1, got {self.num_candidates}")
        require(0 <= self.hard_share <= 1, f"hard_share: must lie in [0, 1], got {self.hard_share}")
        expected = "skills, none, path:data/own/<folder> (stage `dataset` reruns as it changes) or hf:<repo>@<revision>"
        require(bool(_GENERAL.fullmatch(self.general)), f"general: expected {expected}, got {self.general!r}")
        require(0.25 <= self.ood_seen_share <= 0.5, f"ood_seen_share: must lie in [.25, .5], got {self.ood_seen_share}")
        refused = self.home_assistant.no_function_share + self.home_assistant.unclear_share
        why = f"the unseen functions' share of ood is what ood_seen_share ({self.ood_seen_share}) leaves beside them"
        require(
            refused + self.ood_seen_share < 1,
            f"home_assistant.no_function_share + unclear_share: {refused:g} is too much: {why}; lower one of them",
        )


@dataclass(kw_only=True, slots=True)
class DatasetSizes:
    """The `dataset` section of a profile: rows wanted in each split."""

    train: int
    expert: int
    dev: int
    dev_ood: int
    test: int
    ood: int
    general: int = 0
    """examples of `dataset.general`; 0: all there are"""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for one in fields(self):
            least = int(one.name != "general")
            require(getattr(self, one.name) >= least, f"{one.name}: must be at least {least} row{'s' * (not least)}")


Source = Callable[[DatasetConfig, DatasetSizes, int], Dataset]
"""(parameters, sizes, seed) -> the same dataset every time"""


def spread(parts: Sequence[Sequence[Example]]) -> list[Example]:
    """The rows of all parts, each spread evenly among the others: stages measure the first, and shares hold there."""
    placed = [((at + 0.5) / len(part), row) for part in parts for at, row in enumerate(part)]
    return [row for _, row in sorted(placed, key=lambda one: one[0])]


def must_be_file(parameter: str, path: str | None) -> None:
    """A file that the user brings is there, or an error names the parameter; None is no file."""
    if path is not None and not Path(path).is_file():
        raise UserError(f"params.yaml: {parameter}: {path} does not exist; put the file there, or name another")


def lookup(query: str, knowledge: Knowledge) -> tuple[str, ...]:
    """Explanations of the terms found in `query`, in order; the longest match wins, case is ignored.

    >>> lookup("wake up the dragon", [("the dragon", "the dragon: the boiler"), ("dragon", "a beast")])
    ('the dragon: the boiler',)
    """
    explanations = {term.lower(): explanation for term, explanation in knowledge}
    return tuple(dict.fromkeys(explanations[term] for term in named(query.lower(), explanations)))


def read_knowledge(path: Path) -> Knowledge:
    """A JSON list of {"term", "explanation"}; each fault names the entry and field."""
    rows = read_json(path)
    if not isinstance(rows, list):
        raise UserError(f'{path}: expected a list of {{"term": ..., "explanation": ...}}')
    found: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(rows):
        match row:
            case {"term": str(term), "explanation": str(explanation)} if term.strip() and explanation.strip():
                if term.lower() in found:
                    raise UserError(f"{path}, entry {number}: field 'term': {term!r} stands there twice")
                found[term.lower()] = (term, explanation)
            case _:
                raise UserError(f"{path}, entry {number}: {_fault(row)}")
    return list(found.values())


def _fault(row: Any) -> str:
    """What is wrong with an entry that is no term with its explanation."""
    if not isinstance(row, dict):
        return f"expected an object, got {type(row).__name__}"
    said = {name: row.get(name) for name in ("term", "explanation")}
    name, value = next((key, text) for key, text in said.items() if not (isinstance(text, str) and text.strip()))
    return f"field {name!r}: {'missing' if name not in row else f'expected a text, got {value!r}'}"
