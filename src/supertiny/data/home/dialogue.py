"""Second turns: requests whose call depends on the turn before."""

import random
from dataclasses import dataclass

from supertiny.core.calls import Call, Refusal, Scalar, Value
from supertiny.data.home.home import Device
from supertiny.data.home.speaker import draw, mark

_AGAIN = {
    "turn_on": (
        "turn_off",
        "turn {it} off again|switch {it} off again|actually, turn {it} back off|"
        "now switch {it} off|"
        "turn {it} off now|ok, {it} can go off again",
    ),
    "turn_off": (
        "turn_on",
        "turn {it} on again|switch {it} back on|actually, turn {it} back on|now switch {it} on|"
        "turn {it} on after all|i need {it} on again",
    ),
    "open": ("close", "close {it} again|shut {it} again|actually, close {it}|now close {it}|you can close {it} now"),
    "close": ("open", "open {it} again|actually, open {it}|open {it} up again|now open {it}|you can open {it} now"),
    "lock": ("unlock", "unlock {it} again|actually, unlock {it}|now unlock {it}|you can unlock {it} now"),
    "unlock": ("lock", "lock {it} again|actually, lock {it}|now lock {it}|you can lock {it} now"),
}
"""verb -> its inverse, and how to ask for it"""

_DO = {
    "turn_off": "turn {it} off|switch {it} off|turn {it} off then|ok, switch {it} off",
    "turn_on": "turn {it} on|switch {it} on|turn {it} on then|ok, switch {it} on",
    "close": "close {it}|shut {it}|close {it} then|ok, close {it}",
    "open": "open {it}|open {it} then|ok, open {it}|open {it} up",
    "lock": "lock {it}|lock {it} then|ok, lock {it}|please lock {it}",
    "unlock": "unlock {it}|unlock {it} then|ok, unlock {it}",
}
"""what to do with the device whose state was asked"""

_OPPOSITE = {
    "on": "turn_off",
    "off": "turn_on",
    "open": "close",
    "closed": "open",
    "locked": "unlock",
    "unlocked": "lock",
}

_SHIFT = (
    "and the {area} too|the {area} as well|same in the {area}|do the same in the {area}|now the {area}|"
    "and in the {area}|"
    "and the {area}|also in the {area}|the {area} too please|same thing for the {area}|and do the {area} as well"
)
_ANOTHER = (
    "and the {name} too|the {name} as well|same for the {name}|do the same with the {name}|now the {name}|"
    "and the {name}|also the {name}|same thing for the {name}|and do the {name} as well"
)
_VALUES = {
    "brightness": (
        "brightness",
        "make it {x} percent instead|actually {x} percent|no, {x} percent|"
        "{x} percent is better|"
        "better make that {x} percent",
    ),
    "color": ("color", "make it {x} instead|actually {x}|no, {x}|{x} is better|better make that {x}"),
    "percentage": (
        "fan_speed",
        "make it {x} percent instead|actually {x} percent|no, {x} percent|"
        "{x} percent is better|"
        "better make that {x} percent",
    ),
    "position": (
        "position",
        "make it {x} percent instead|actually {x} percent|no, {x} percent|{x} percent is better|"
        "better make that {x} percent",
    ),
    "temperature": (
        "temperature",
        "make it {x} degrees instead|actually {x} degrees|no, {x} degrees|"
        "{x} degrees is better|better make that {x} degrees",
    ),
}
"""argument -> list of the grammar, and how to change its value"""

_TIMER = {
    "cancel_timer": "cancel that timer|cancel it|stop that timer|forget that timer|never mind that timer",
    "pause_timer": "pause that timer|pause it|hold that timer|put that timer on hold",
    "get_timer_status": "how long is left on it|how much time is left on that timer|how is that timer doing|"
    "when is that timer done",
    "increase_timer": "add {x} minutes to it|add {x} minutes to that timer|give it {x} more minutes|"
    "make it {x} minutes longer",
    "decrease_timer": "take {x} minutes off it|remove {x} minutes from that timer|make it {x} minutes shorter",
}
_SHIFTABLE = (
    "turn_on_light",
    "turn_off_light",
    "turn_on_fan",
    "turn_off_fan",
    "open_cover",
    "close_cover",
    "set_light",
    "set_temperature",
    "set_fan_speed",
    "set_cover_position",
    "get_temperature",
)
_NAMED = (
    *_SHIFTABLE,
    "turn_on_switch",
    "turn_off_switch",
    "lock_door",
    "unlock_door",
    "open_valve",
    "close_valve",
    "turn_on_climate",
    "turn_off_climate",
)
_PLURAL = ("lights", "spotlights")


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A second turn: its template, marked text, and the call it asks for."""

    template: str
    marked: str
    call: Call


Option = tuple[str, str, Call, str]
"""kind, templates, the call so far, the argument that the second turn says (or "")"""


def follow_up_templates() -> list[str]:
    """The id of every second turn, grouped by what it asks."""
    found = [f"follow: {kind}: {text}" for kind, texts in _groups() for text in texts.split("|")]
    return list(dict.fromkeys(found))


def _groups() -> list[tuple[str, str]]:
    again = [(f"again {verb}", texts) for verb, (_, texts) in _AGAIN.items()]
    do = [(f"do {verb}", texts) for verb, texts in _DO.items()]
    values = [(f"value {argument}", texts) for argument, (_, texts) in _VALUES.items()]
    return [*again, *do, ("shift", _SHIFT), ("another", _ANOTHER), *values, *_TIMER.items()]


def follow_up(
    rng: random.Random, before: Call, others: list[Device], areas: list[str], allowed: set[str]
) -> FollowUp | None:
    """A second turn after `before` from the `allowed` templates; None where nothing follows it.

    `others`: devices that `before` could have named instead; `areas`: where else it could have acted.
    """
    options: dict[str, list[tuple[str, Call, str]]] = {}
    for kind, texts, so_far, argument in _options(before, others, areas):
        mine = [text for text in texts.split("|") if f"follow: {kind}: {text}" in allowed]
        if mine:
            options[kind] = [(text, so_far, argument) for text in mine]
    if not options:
        return None
    kind = rng.choice(list(options))
    text, call, says = rng.choice(options[kind])
    arguments = dict(call.arguments)
    marked = text.replace("{it}", "them" if _is_plural(before) else "it")
    if says:
        placeholder, said, value, others_go = _say(rng, says, before, others, areas)
        arguments = {key: v for key, v in arguments.items() if key not in others_go} | {says: value}
        marked = marked.replace("{x}", mark(placeholder, said)).replace(f"{{{says}}}", mark(placeholder, said))
    return FollowUp(f"follow: {kind}: {text}", marked, Call(call.name, arguments))


def _say(
    rng: random.Random, says: str, before: Call, others: list[Device], areas: list[str]
) -> tuple[str, str, Scalar, tuple[str, ...]]:
    """(placeholder, what is said, label, arguments it replaces) for the argument that the second turn says."""
    if says == "area":
        place = rng.choice([area for area in areas if area != before.arguments["area"]])
        return "area", place, place, ()
    if says == "name":
        device = rng.choice(others)
        return "name", device.name, device.name, ("area", "floor")
    bank = _VALUES[says][0] if says in _VALUES else "timer_minutes"
    said, value = draw(bank, rng)
    while value == before.arguments.get(says):
        said, value = draw(bank, rng)
    return bank, said, value, ()


def _is_plural(call: Call) -> bool:
    """Whether the things of `call` are a "them"."""
    name = str(call.arguments.get("name", ""))
    return (
        name.endswith(_PLURAL) if name else call.name.endswith(("_light", "_fan")) or "device_class" in call.arguments
    )


def _options(before: Call, others: list[Device], areas: list[str]) -> list[Option]:
    """Everything that can follow `before`."""
    found: list[Option] = []
    arguments = before.arguments
    verb, _, thing = before.name.rpartition("_")
    placed = "name" in arguments or "area" in arguments
    if verb in _AGAIN and placed and thing != "media_player":
        inverse, texts = _AGAIN[verb]
        found.append((f"again {verb}", texts, Call(f"{inverse}_{thing}", arguments), ""))
    if before.name.startswith("get_") and "name" in arguments and arguments.get("state") in _OPPOSITE:
        act, kind = _OPPOSITE[str(arguments["state"])], before.name.split("_")[1]
        rest = {key: value for key, value in arguments.items() if key != "state"}
        act_on = {"lock": "door"}.get(kind, kind)
        if kind in ("light", "switch", "fan", "cover", "valve", "lock"):
            found.append((f"do {act}", _DO[act], Call(f"{act}_{act_on}", rest), ""))
    if before.name in _SHIFTABLE and "area" in arguments and "name" not in arguments and areas:
        found.append(("shift", _SHIFT, before, "area"))
    if before.name in _NAMED and "name" in arguments and others:
        found.append(("another", _ANOTHER, before, "name"))
    for argument, (_, texts) in _VALUES.items():
        if argument in arguments and not (argument == "brightness" and "color" in arguments):
            found.append((f"value {argument}", texts, before, argument))
    if before.name == "start_timer" and "command" not in arguments:
        found += _after_timer(arguments)
    return found


def _after_timer(arguments: dict[str, Value]) -> list[Option]:
    """That timer is known by its name or, where it has none, by the time it was started with."""
    known: dict[str, Value] = {"name": arguments["name"]} if "name" in arguments else {}
    known = known or {f"start_{unit}": value for unit, value in arguments.items()}
    said = {"increase_timer": "minutes", "decrease_timer": "minutes"}
    return [(name, texts, Call(name, known), said.get(name, "")) for name, texts in _TIMER.items()]


_SLOTS = {
    "city": "Paris|Tokyo|Berlin|Boston|Madrid|Cairo|Lima|Sydney|Oslo|Rome|Dublin|Seattle",
    "country": "France|Japan|Brazil|Kenya|Norway|Peru|Canada|Egypt|India|Portugal",
    "dish": "lasagna|pad thai|pancakes|sushi|a curry|tacos|ramen|a burger|tiramisu|paella",
    "person": "my mom|my boss|the dentist|grandpa|my sister|Uncle Joe|the plumber|my landlord",
    "team": "the Lakers|Liverpool|the Yankees|Real Madrid|Bayern|the Bears",
    "stock": "Apple|Tesla|gold|bitcoin|Siemens|Toyota",
    "animal": "penguins|octopuses|camels|bees|wolves|sloths",
    "language": "Spanish|German|Korean|French|Latin|Swahili",
    "word": "serendipity|entropy|gesundheit|photosynthesis|onomatopoeia|algorithm",
    "thing": "shoes|a laptop|concert tickets|a tent|headphones|a birthday present",
    "percent": "10|20|30|40|50|60|75|80",
    "number": "17|144|35|250|81|999",
}
_NO_FUNCTION = (
    "book me a flight to {city}|what's the capital of {country}|order {dish} for dinner|call {person}|"
    "send a text to {person}|who won the game between {team} and the others|what is the price of {stock}|"
    "tell me about {animal}|how do you say hello in {language}|what does {word} mean|buy {thing} online|"
    "what is the square root of {number}|find a hotel in {city}|how many people live in {country}|"
    "give me a recipe for {dish}|write an email to {person}|how did {team} do last night|should i invest in {stock}|"
    "what do {animal} eat|translate good morning into {language}|how do you spell {word}|find me the cheapest {thing}|"
    "what is {number} times twelve|get me a taxi to the airport|tell me a joke|what's on the news|read me my emails|"
    "when is the next train to {city}|who is the president of {country}|reserve a table for two at an italian place|"
    "what's the meaning of life|sing me a song about {animal}|how tall is mount everest|who wrote hamlet|"
    "show me the way to {city}|when does {person} have their birthday|how far is it to {city}|is {stock} going up|"
    "teach me some {language}|what rhymes with {word}|how old is the universe|do my taxes|post a photo of my lunch|"
    "can {animal} swim|what's the fastest route to work|how many calories are in {dish}|"
    "where can i eat {dish} around here|"
    "video call {person}|read the last message from {person}|what currency do they use in {country}|"
    "what's the exchange rate to the dollar|tell me a bedtime story about {animal}|check in for my flight to {city}|"
    "what's the traffic like|when do {team} play next|track my package|how do i tie a tie|who sings this|"
    "convert {number} miles to kilometers|what is the synonym of {word}|is it a holiday in {country} today|"
    "return the {thing} i bought|what's my bank balance|transfer {number} dollars to {person}|what's for dinner"
)
_NO_FUNCTION_ABOUT = (
    "how much did the {device} cost|order a new {device}|is the {device} still under warranty|who made the {device}|"
    "where did we buy the {device}|show me the manual of the {device}|sell the {device}|how old is the {device}|"
    "what does the {device} weigh|find a spare part for the {device}|call someone to repair the {device}|"
    "how do i clean the {device}|why is the {device} so loud|is there a newer model of the {device}|"
    "write a review of the {device}|update the software of the {device}|how big is the {area}|paint the {area}|"
    "rent out the {area}|what color are the walls in the {area}|take a picture of the {area}|"
    "decorate the {area} for christmas|find me a carpet for the {area}|water the plants in the {area}|"
    "how many chairs are in the {area}|who designed the {area}|measure the {area}|book a painter for the {area}"
)
"""about things of the home, but no function of any home: who hears a device must not call one for that alone"""
_UNCLEAR = (
    "turn it|set the thing|uh the light thing to|set it to|turn the|can you change the|make it like before|"
    "do the other one|"
    "the one in the|put it on the|a bit more|not that one|switch the thing over there|turn on the um|i meant the other|"
    "set the timer for|start a timer|set a timer|set the temperature|change the brightness|adjust the position|"
    "make it|the usual|do it|you know what to do|set the|turn off the uh|open|close|lock|what about the|is it|"
    "set the brightness to|change the color to|add some time|remove a few from it|hmm the thing|could you maybe|"
    "can you do that thing|no wait the|turn it down to|go back to the|put the thing in the|the left one|"
    "that one over there|"
    "switch it|i want it like yesterday|move it to|change it|something is wrong with the|set a timer for um|"
    "the thing in the corner|just a little|and the|not now but|leave it at the"
)
_UNCLEAR_ABOUT = (
    "set the {device} to|what about the {device}|"
    "the {device} um|do something with the {device}|i don't like the {device}|can you the {device}|"
    "the {device} should be|"
    "about the {area}|in the {area} please|the {area} the way i like it|change the {device} a bit|"
    "uh in the {area} i mean|"
    "not the {device} the other one|make the {device}|fix the {area}|i was thinking the {device}|hmm the {area}|"
    "put the {device} like before|the thing next to the {device}|change the {area} um|set the {area} to|"
    "that thing in the {area}|switch the one by the {device}"
)
_NEEDS_HISTORY = (
    "turn it off again|turn it off|switch it on|turn them off|close it|open it|unlock it|"
    "make it {percent} percent instead|"
    "the other one too|cancel it|switch them on|lock it|actually the other way round|turn it back on"
)


def refusal_templates() -> list[str]:
    """The id of every refused request."""
    return [f"{kind}: {text}" for kind, texts in _BANKS.items() for text in texts.split("|")]


_BANKS = {
    "no function": _NO_FUNCTION,
    "no function about": _NO_FUNCTION_ABOUT,
    "unclear": _UNCLEAR,
    "unclear about": _UNCLEAR_ABOUT,
    "unclear alone": _NEEDS_HISTORY,
}


_NO_FUNCTION_KINDS = ("no function", "no function about")
_UNCLEAR_KINDS = ("unclear", "unclear about", "unclear about", "unclear alone")


def refused(rng: random.Random, refusal: Refusal, allowed: set[str], home: dict[str, list[str]]) -> tuple[str, str]:
    """(template, marked text) of a request that gets `refusal`; `home`: the devices and areas it may mention."""
    kinds = _NO_FUNCTION_KINDS if refusal is Refusal.NO_FUNCTION else _UNCLEAR_KINDS
    kind = rng.choice(kinds)
    text = rng.choice([text for text in _BANKS[kind].split("|") if f"{kind}: {text}" in allowed])
    marked = text
    for slot, values in [(slot, values.split("|")) for slot, values in _SLOTS.items()] + list(home.items()):
        if f"{{{slot}}}" in marked:
            marked = marked.replace(f"{{{slot}}}", mark(slot, rng.choice(values)))
    return f"{kind}: {text}", marked
