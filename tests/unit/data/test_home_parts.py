import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Parameter
from supertiny.data.home.dialogue import follow_up, follow_up_templates
from supertiny.data.home.english import decorate, in_words, skeleton, surface
from supertiny.data.home.grammar import load_grammar, split_templates
from supertiny.data.home.home import Device, Home, build_home, reference, right_calls
from supertiny.data.home.speaker import mark

TEXT = Parameter("string")
NUMBER = Parameter("integer")
PLACES = {"name": TEXT, "area": TEXT, "floor": TEXT}
POOL = {
    "open_cover": Function("open_cover", "", PLACES),
    "set_cover_position": Function("set_cover_position", "", {**PLACES, "position": Parameter("integer", "", True)}),
    "turn_off_light": Function("turn_off_light", "", PLACES),
    "set_light": Function("set_light", "", {**PLACES, "brightness": NUMBER, "color": TEXT}),
    "start_timer": Function("start_timer", "", {"hours": NUMBER, "minutes": NUMBER, "seconds": NUMBER, "name": TEXT}),
}
HOME = Home({"cover": [Device("roller blind", "cover", "office", "first floor")]}, {"office": "first floor"}, {})


def others(call, domain=""):
    return [other.arguments for other in right_calls(call, domain, HOME, POOL)[1:]]


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        (f"set a timer for {mark('h', '1')} hours", "set a timer for 1 hour"),
        (f"a {mark('m', '8')} minutes timer", "an 8 minute timer"),
        (f"the the {mark('name', 'lamp')}", "the lamp"),
        (f"turn on the {mark('name:light', 'Anna' + chr(39) + 's lamp')}", "turn on Anna's lamp"),
        (f"turn on the {mark('name:light', 'the dragon')}", "turn on the dragon"),
        (f"lights in the {mark('area', 'patio')}", "lights on the patio"),
        (f"lights in the {mark('floor', 'first floor')}", "lights on the first floor"),
        (f"dim to {mark('brightness', '40')} %", "dim to 40%"),
        (f"timer for {mark('h', '2')} and  {mark('half', 'half')} hours", "timer for 2 and a half hours"),
    ],
)
def test_surface(marked, wanted):
    assert surface(marked) == wanted


def test_surface_repairs_numbers_of_timers():
    assert surface(f"a timer for {mark('m', '5')} minutes") == "a timer for 5 minutes"
    assert surface(f"a timer for {mark('m', '1')} minutes") == "a timer for 1 minute"


def test_skeleton_ignores_values_articles_units_and_politeness():
    one = f"Please set the {mark('name:light', 'lamp')} to {mark('brightness', '5')}%"
    other = f"set {mark('name:fan', 'fan')} to {mark('brightness', '60')} percent, thanks"
    assert skeleton(one).replace("brightness", "b") == skeleton(other).replace("brightness", "b")


@given(st.integers(0, 100))
def test_numbers_in_words_are_distinct(number):
    assert [n for n in range(101) if in_words(n) == in_words(number)] == [number]


@given(st.integers(0, 10**6))
def test_decoration_keeps_the_words(seed):
    query = "turn off Anna's lamp"
    said = decorate(random.Random(seed), query, 0.5)
    assert query[1:] in said


def test_reference_takes_the_room_and_renames_slots():
    call = reference("HassLightSet", "set_light", {"temperature": 2700}, "attic")
    assert call == Call("set_light", {"color_temperature": 2700, "area": "attic"})


def test_a_device_s_place_may_be_left_out_or_said():
    answers = others(Call("open_cover", {"name": "roller blind"}), "cover")
    assert {"name": "roller blind", "area": "office"} in answers
    assert {"name": "roller blind", "floor": "first floor"} in answers
    assert {"name": "roller blind", "position": 100} in answers
    assert {"name": "roller blind", "area": "attic"} not in answers


def test_twins_both_ways():
    assert Call("open_cover", {"area": "office"}) in right_calls(
        Call("set_cover_position", {"area": "office", "position": 100}), "", HOME, POOL
    )
    dark = right_calls(Call("turn_off_light", {"area": "office"}), "", HOME, POOL)
    assert Call("set_light", {"area": "office", "brightness": 0}) in dark
    red = right_calls(Call("set_light", {"area": "office", "color": "red", "brightness": 0}), "", HOME, POOL)
    assert [call.name for call in red] == ["set_light"]


def test_times_in_other_units():
    assert others(Call("start_timer", {"minutes": 90})) == [{"hours": 1, "minutes": 30}, {"seconds": 5400}]


@given(st.integers(0, 3), st.integers(0, 120), st.integers(0, 120))
def test_times_stay_the_same_length(hours, minutes, seconds):
    spoken = {"hours": hours, "minutes": minutes, "seconds": seconds}
    total = {hours * 3600 + minutes * 60 + seconds}
    for call in right_calls(Call("start_timer", spoken), "", HOME, POOL):
        a = call.arguments
        assert {a.get("hours", 0) * 3600 + a.get("minutes", 0) * 60 + a.get("seconds", 0)} == total


def test_the_time_a_timer_is_known_by_and_the_time_it_gains_stay_apart():
    """By 30 seconds, the one of 40 seconds: neither the amount nor the 40 is ever lost."""
    timer = dict.fromkeys(("hours", "minutes", "seconds", "start_hours", "start_minutes", "start_seconds"), NUMBER)
    pool = {"increase_timer": Function("increase_timer", "", timer)}
    for seconds, start in ((30, 40), (90, 120)):
        call = Call("increase_timer", {"seconds": seconds, "start_seconds": start})
        for found in right_calls(call, "", HOME, pool):
            a = found.arguments
            assert a.get("minutes", 0) * 60 + a.get("seconds", 0) == seconds
            assert a.get("start_minutes", 0) * 60 + a.get("start_seconds", 0) == start


def test_follow_ups_depend_on_the_turn_before():
    rng = random.Random(0)
    allowed = set(follow_up_templates())
    before = Call("turn_on_light", {"area": "kitchen"})
    turns = [follow_up(rng, before, [], ["kitchen", "attic"], allowed) for _ in range(50)]
    calls = {(turn.call.name, turn.call.arguments["area"]) for turn in turns if turn}
    assert calls == {("turn_off_light", "kitchen"), ("turn_on_light", "attic")}
    assert follow_up(rng, Call("get_date", {}), [], [], allowed) is None
    assert follow_up(rng, before, [], ["kitchen", "attic"], set()) is None


def test_that_timer_is_known_by_its_name_or_its_time():
    rng = random.Random(1)
    allowed = {name for name in follow_up_templates() if "cancel_timer" in name}
    named = follow_up(rng, Call("start_timer", {"minutes": 5, "name": "tea"}), [], [], allowed)
    timed = follow_up(rng, Call("start_timer", {"minutes": 5}), [], [], allowed)
    assert named and named.call == Call("cancel_timer", {"name": "tea"})
    assert timed and timed.call == Call("cancel_timer", {"start_minutes": 5})


def test_names_are_unique_and_never_begin_with_a_room():
    home = build_home(3, 0.2)
    names = Counter(device.name for group in home.devices.values() for device in group)
    ambiguous = {name for name, count in names.items() if count > 1}
    assert ambiguous <= {"party", "work", "breakfast"}
    areas = tuple(f"{area} " for area in home.areas if area != "garage")
    assert not [name for name in names if name.startswith(areas)]
    terms = [term for term, _ in home.nicknames() + home.inventory()]
    assert len(set(terms)) == len(terms)


def test_train_keeps_a_template_of_every_function_combination_and_list_of_values():
    templates, _ = load_grammar()
    owner = split_templates(templates, 0, {"test": 0.3, "dev": 0.2, "expert": 0.2})

    def needs(wanted: set[str]) -> set[tuple[str, str]]:
        mine = [t for t in templates if owner[t.id] in wanted]
        return {(t.function, need) for t in mine for need in (t.combo, *re.findall(r"\{(\w+)", t.id))}

    assert needs({"train"}) == needs({"train", "expert", "dev", "test"})
    assert Counter(owner.values())["test"] > Counter(owner.values())["dev"] > 20 < Counter(owner.values())["expert"]
