"""Drawing single requests of the home: what is said, and the call it asks for."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from hassil.expression import (
    Alternative,
    Expression,
    ListReference,
    Permutation,
    RuleReference,
    Sequence,
    TextChunk,
)

from supertiny.core.calls import Call, Function, Scalar
from supertiny.data.home.english import TEXTS, VALUES, in_words, surface
from supertiny.data.home.functions import OOD_DOMAINS
from supertiny.data.home.grammar import Template, load_grammar
from supertiny.data.home.home import Device, Home, reference

MINUTES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 20, 25, 30, 35, 40, 45, 50, 55, 90)
WORD_SHARE = 0.12
"""share of whole numbers below 101 that are spelled out"""
ARTICLE_SHARE = 0.85
"""share of optional articles that are said"""

Slots = dict[str, Scalar]
Fixed = dict[str, tuple[str, str, Scalar]]
"""list -> (placeholder, what is said, label), chosen before the walk"""


def walk(expression: Expression, rules: dict[str, Any], rng: random.Random, fixed: Fixed) -> tuple[str, Slots]:
    """(marked text, slot values): lists in `fixed` as given, all others drawn."""
    slots: Slots = {}
    text = _walk(expression, rules, rng, fixed, slots)
    return " ".join(text.split(" ")), slots


def list_names(expression: Expression, rules: dict[str, Any]) -> set[str]:
    """Every list the expression refers to."""
    if isinstance(expression, ListReference):
        return {expression.list_name}
    if isinstance(expression, RuleReference):
        return list_names(rules[expression.rule_name].expression, rules)
    items = expression.items if isinstance(expression, Sequence | Alternative | Permutation) else []
    return set().union(*(list_names(item, rules) for item in items)) if items else set()


def _walk(e: Expression, rules: dict[str, Any], rng: random.Random, fixed: Fixed, slots: Slots) -> str:
    if isinstance(e, TextChunk):
        return str(e.original_text)
    if isinstance(e, Alternative):
        if e.is_optional:
            said = rng.random() < (ARTICLE_SHARE if _is_article(e) else 0.5)
            return _walk(rng.choice(e.items[:-1]), rules, rng, fixed, slots) if said else ""
        return _walk(rng.choice(e.items), rules, rng, fixed, slots)
    if isinstance(e, Permutation):
        items = list(e.items)
        rng.shuffle(items)
        return " ".join(_walk(item, rules, rng, fixed, slots).strip() for item in items)
    if isinstance(e, Sequence):
        return "".join(_walk(item, rules, rng, fixed, slots) for item in e.items)
    if isinstance(e, RuleReference):
        return _walk(rules[e.rule_name].expression, rules, rng, fixed, slots)
    if not isinstance(e, ListReference):
        raise TypeError(type(e).__name__)
    placeholder, said_as, value = fixed.get(e.list_name) or (e.list_name, *draw(e.list_name, rng))
    while value == 90 and {"hours", "minutes"} & slots.keys():  # 4 hours and 90 minutes: nobody says so
        said_as, value = draw(e.list_name, rng)
    slots[e.slot_name] = value
    return mark(placeholder, said_as)


def mark(placeholder: str, said: str) -> str:
    """`said` as a slot's text in a marked sentence."""
    return f"\x01{placeholder}\x02{said}\x03"


def draw(name: str, rng: random.Random) -> tuple[str, Scalar]:
    """(what is said, label) for one list of the grammar."""
    if name in VALUES:
        said = rng.choice(list(VALUES[name]))
        return said, VALUES[name][said]
    if name in TEXTS:
        said = rng.choice(TEXTS[name].split("|"))
        return said, said
    value = _number(name, rng)
    if isinstance(value, int) and 0 <= value <= 100 and rng.random() < WORD_SHARE:
        return in_words(value), value
    return str(value), -value if name == "volume_step_down" else value


def _number(name: str, rng: random.Random) -> int | float:
    if name == "timer_hours":
        return rng.choice((1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 12))
    if name == "timer_minutes":
        return rng.choice(MINUTES)
    if name == "timer_seconds":
        return rng.choice((5, 10, 15, 20, 30, 40, 45, 50, 90))
    if name == "temperature":
        return rng.randint(15, 29) + rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 0.5))
    if name == "color_temperature":
        return rng.randrange(2000, 6600, 100)
    if rng.random() < 0.75:
        return rng.randrange(5, 100, 5)
    return rng.randint(0, 100) if rng.random() < 0.7 else rng.choice((0, 100))


def _is_article(e: Alternative) -> bool:
    item: Any = e.items[0]
    while isinstance(item, Sequence | Alternative) and len(item.items) == 1:
        item = item.items[0]
    if isinstance(item, RuleReference):
        return item.rule_name == "the"
    return isinstance(item, TextChunk) and item.original_text.strip() in ("the", "my")


WEIGHTS = {"light": 2.0, "cover": 1.4, "climate": 1.2, "assistant": 0.5, "start_timer": 2.5, "broadcast_message": 1.0}
"""how often a function, or else those of a domain, are asked for; others: 1"""
_OPEN_SLOTS = {"name", "area", "floor"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its template, marked text, call, and what it rests on."""

    template: str
    marked: str
    call: Call
    domain: str
    room: str
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class Speaker:
    """Someone who lives in `home` and speaks the grammar."""

    home: Home
    nickname_share: float
    templates: list[Template] = field(init=False)
    by_function: dict[str, list[Template]] = field(init=False)
    _rules: dict[str, Any] = field(init=False, repr=False)
    _lists: dict[int, set[str]] = field(init=False, repr=False)
    _areas_of: dict[str, list[str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Load the grammar."""
        self.templates, self._rules = load_grammar()
        self._lists = {id(t): list_names(t.expression, self._rules) for t in self.templates}
        self.by_function = defaultdict(list)
        for template in self.templates:
            self.by_function[template.function].append(template)
        self._areas_of = {d: sorted({x.area for x in group if x.area}) for d, group in self.home.devices.items()}

    def slots_of(self) -> dict[str, list[frozenset[str]]]:
        """Function -> the sets of parameters that its sentences fill."""
        found: dict[str, set[frozenset[str]]] = defaultdict(set)
        for template in self.templates:
            rng = random.Random(template.id)
            for _ in range(4):
                _, slots = walk(template.expression, self._rules, rng, _blank())
                call = reference(template.intent, template.function, slots, "x" if template.needs_room else "")
                found[template.function].add(frozenset(call.arguments))
        return {name: sorted(combos, key=sorted) for name, combos in found.items()}

    def request(self, rng: random.Random, templates: list[Template], known: bool) -> Request:
        """A request from one of `templates` (all of one function); `known`: name no held-out device."""
        combos = sorted({template.combo for template in templates})
        by_room = {template.combo for template in templates if template.needs_room}
        weights = [sum(t.combo == c for t in templates) ** 0.5 * (1 + (c in by_room)) for c in combos]
        combo = rng.choices(combos, weights)[0]
        template = rng.choice([t for t in templates if t.combo == combo])
        tags: list[str] = []
        fixed = self._fix(rng, template, known, tags)
        marked, slots = walk(template.expression, self._rules, rng, fixed)
        room = rng.choice(self.rooms(template, "cover_classes" in fixed and fixed["cover_classes"][2] == "awning"))
        if template.needs_room:
            tags.append("room")
        call = reference(template.intent, template.function, slots, room if template.needs_room else "")
        return Request(template.id, marked, call, template.domain, room, tuple(tags))

    def rooms(self, template: Template, outside: bool) -> list[str]:
        """Places the speaker may stand in: where a command means the things around, places that have some."""
        if template.needs_room and template.domain == "cover":
            return self._places(outside)
        return (
            self._areas_of.get(_thing(template) or "light", self.home.areas) if template.needs_room else self.home.areas
        )

    def _places(self, outside: bool) -> list[str]:
        return [
            area
            for area, floor in self.home.floor_of.items()
            if bool(floor) != outside and area not in ("driveway", "garage")
        ]

    def areas(self, call: Call) -> list[str]:
        """Where else `call` could act."""
        device_class = call.arguments.get("device_class")
        return self._places(device_class == "awning") if device_class else self._areas_of["light"]

    def others(self, call: Call, domain: str, known: bool) -> list[Device]:
        """Devices that `call` could have named instead."""
        group = self.home.devices.get(domain, [])
        return [d for d in group if d.name != call.arguments.get("name") and not (known and d.held_out)]

    def _fix(self, rng: random.Random, template: Template, known: bool, tags: list[str]) -> Fixed:
        """Choose the device, area and floor that go together."""
        lists, fixed = self._lists[id(template)], Fixed()
        area = rng.choice(self._areas_of.get(_thing(template)) or self.home.areas)
        floor = rng.choice(self.home.floors)
        if "cover_classes" in lists:
            spoken = rng.choice([word for word in VALUES["cover_classes"] if "floor" not in lists or word != "awnings"])
            fixed["cover_classes"] = ("cover_classes", spoken, VALUES["cover_classes"][spoken])
            area = rng.choice(self._places(spoken == "awnings"))
        if "name" in lists:
            device, nicknamed = self._device(rng, template, known, "floor" in lists)
            said = device.nickname if nicknamed else device.name
            fixed["name"] = (f"name:{template.domain}", said, device.name)
            area, floor = (device.area, device.floor) if device.area else (area, floor)
            tags += ["knowledge"] if nicknamed else []
        nickname = self.home.area_nicknames.get(area)
        if "area" in lists and nickname and rng.random() < self.nickname_share:
            fixed["area"] = ("area", nickname, area)
            tags += ["knowledge"] * ("knowledge" not in tags)
        else:
            fixed["area"] = ("area", area, area)
        fixed["floor"] = ("floor", floor, floor)
        return fixed

    def _device(self, rng: random.Random, template: Template, known: bool, floor: bool) -> tuple[Device, bool]:
        """A device of the sentence's domain, and whether it is called by its nickname."""
        group = [d for d in self.home.devices[template.domain] if not (known and d.held_out) and (d.floor or not floor)]
        nicknamed = [d for d in group if d.nickname]
        by_nickname = bool(nicknamed) and rng.random() < self.nickname_share
        return rng.choice(nicknamed if by_nickname else group), by_nickname


def weight(function: Function) -> float:
    """How often `function` is asked for."""
    return WEIGHTS.get(function.name, WEIGHTS.get(function.domain, 1.0))


def is_ood(domain: str) -> bool:
    """Whether a function of `domain` belongs to the scenario kept out of training."""
    return domain in OOD_DOMAINS


def said(request: Request) -> str:
    """The request's plain sentence."""
    return surface(request.marked)


def enums(templates: list[Template]) -> dict[tuple[str, str], list[str]]:
    """(function, parameter) -> its closed set of values."""
    found: dict[tuple[str, str], list[str]] = {}
    for t in templates:
        for name in ("state", "device_class", "media_class"):
            for bank in _closed(t, name):
                known = found.setdefault((t.function, name), [])
                known += [v for v in dict.fromkeys(map(str, VALUES[bank].values())) if v not in known]
    return found


def _closed(template: Template, slot: str) -> list[str]:
    """Lists of closed values that `template` puts into `slot`."""
    banks = [f"{bank}:state" for bank in VALUES] if slot == "state" else []
    found = [bank.removesuffix(":state") for bank in banks if f"{{{bank}}}" in template.id]
    if slot == "device_class" and "cover_classes" in template.id:
        found.append("cover_classes")
    if slot == "media_class" and "{media_class}" in template.id:
        found.append("media_class")
    return found


def _blank() -> Fixed:
    return {name: (name, name, name) for name in _OPEN_SLOTS}


def _thing(template: Template) -> str:
    """The domain whose rooms a sentence speaks of."""
    if template.domain:
        return template.domain
    return "climate" if "Climate" in template.intent else "fan" if "Fan" in template.intent else ""
