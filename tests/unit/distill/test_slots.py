"""Every character of an answer belongs to one slot, whatever a value holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Refusal, Syntax, written
from supertiny.distill.distance import Slot, token_slots

NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
PLAIN = st.one_of(TEXT, st.integers(-99, 99), st.booleans())
VALUES = st.one_of(PLAIN, st.lists(TEXT, max_size=3), st.dictionaries(TEXT, PLAIN, max_size=2))
FRAMES = {Syntax.json: ('{{"name":"","arguments":{{{}}}}}', ",", '"":'), Syntax.python: ("({})", ", ", "=")}
"""what is left of a call without names and values: around, between arguments, of an argument"""


def slots_by_char(text, syntax):
    return token_slots(text, [(at, at + 1) for at in range(len(text))], syntax)


@given(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), st.sampled_from(Syntax))
def test_names_and_parameters_are_found_whatever_the_values_are(name, arguments, syntax):
    text = written(Call(name, arguments), syntax)
    slots = slots_by_char(text, syntax)

    def part(slot):
        return "".join(char for char, found in zip(text, slots, strict=True) if found is slot)

    around, between, argument = FRAMES[syntax]
    assert part(Slot.FUNCTION) == name
    assert part(Slot.PARAMETER) == "".join(arguments)
    assert part(Slot.SYNTAX) == around.format(between.join([argument] * len(arguments)))


@pytest.mark.parametrize("syntax", Syntax)
def test_a_refusal_is_one_slot_and_its_end_another(syntax):
    text = " " + written(Refusal.UNCLEAR, syntax)
    assert token_slots(text, [(0, 8), (8, len(text)), (0, 0)], syntax) == [Slot.REFUSAL, Slot.REFUSAL, Slot.END]


def test_a_token_over_two_slots_counts_to_the_larger():
    text = '{"name":"go","arguments":{}}'
    assert token_slots(text, [(7, 11), (10, 13)], Syntax.json) == [Slot.FUNCTION, Slot.SYNTAX]
    assert token_slots(" go(to=5)", [(0, 3), (3, 6), (6, 9)], Syntax.python) == [
        Slot.FUNCTION, Slot.PARAMETER, Slot.SYNTAX,
    ]  # fmt: skip
