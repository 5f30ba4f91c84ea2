"""Walking a template's tree at random: a sentence with its slots marked, and the values they got."""

import random
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

from supertiny.core.calls import Scalar
from supertiny.data.home.english import in_words
from supertiny.data.home.words import TEXTS, VALUES

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
