"""Every character of an answer belongs to one slot, whatever a value holds."""

from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Refusal, answer_text
from supertiny.distill.distance import Slot, token_slots

NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
VALUES = st.one_of(TEXT, st.integers(-99, 99), st.booleans(), st.lists(TEXT, max_size=3))


def slots_by_char(text):
    return token_slots(text, [(at, at + 1) for at in range(len(text))])


@given(NAMES, st.dictionaries(NAMES, VALUES, max_size=4))
def test_names_and_parameters_are_found_whatever_the_values_are(name, arguments):
    text = answer_text(Call(name, arguments))
    slots = slots_by_char(text)

    def part(slot):
        return "".join(char for char, found in zip(text, slots, strict=True) if found is slot)

    assert part(Slot.FUNCTION) == name
    assert part(Slot.PARAMETER) == "".join(arguments)
    assert part(Slot.SYNTAX) == '{"name":"","arguments":{' + ",".join(['"":'] * len(arguments)) + "}}"


def test_a_refusal_is_one_slot_and_its_end_another():
    text = " " + answer_text(Refusal.UNCLEAR)
    assert token_slots(text, [(0, 8), (8, len(text)), (0, 0)]) == [Slot.REFUSAL, Slot.REFUSAL, Slot.END]


def test_a_token_over_two_slots_counts_to_the_larger():
    text = '{"name":"go","arguments":{}}'
    assert token_slots(text, [(7, 11), (10, 13)]) == [Slot.FUNCTION, Slot.SYNTAX]
