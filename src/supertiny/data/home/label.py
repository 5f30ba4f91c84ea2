"""From slot values to the right call, and to every other call that does the same."""

from supertiny.core.calls import Call, Malformed, Pool, Scalar, Value, check_call
from supertiny.data.home.documents import RENAMED
from supertiny.data.home.inventory import Home

_SECONDS = {"hours": 3600, "minutes": 60, "seconds": 1}
_AT = {
    ("open_cover", "set_cover_position", "position"): 100,
    ("close_cover", "set_cover_position", "position"): 0,
    ("open_valve", "set_valve_position", "position"): 100,
    ("close_valve", "set_valve_position", "position"): 0,
    ("turn_off_light", "set_light", "brightness"): 0,
    ("turn_off_fan", "set_fan_speed", "percentage"): 0,
}
"""(function, its twin, the twin's argument) -> the value that makes them the same"""


def reference(intent: str, function: str, slots: dict[str, Scalar], room: str) -> Call:
    """The call as spoken: values as they appear, `room` as the area where it is given."""
    arguments: dict[str, Value] = {RENAMED.get((intent, slot), slot): value for slot, value in slots.items()}
    if "volume_step" in arguments:
        arguments["volume_step"] = str(arguments["volume_step"])
    if room:
        arguments["area"] = room
    return Call(function, arguments)


def right_calls(call: Call, domain: str, home: Home, pool: Pool) -> tuple[Call, ...]:
    """`call` first, then the calls that do the same: by place, by twin function, by other units of time."""
    found = [call]
    for step in (lambda c: _places(c, domain, home), _twins, _durations):
        found += [other for known in list(found) for other in step(known)]
    distinct: list[Call] = []
    for other in found:
        other = ordered(other, pool)
        if other not in distinct and not isinstance(check_call(other, pool), Malformed):
            distinct.append(other)
    return tuple(distinct)


def ordered(call: Call, pool: Pool) -> Call:
    """`call` with its arguments in the order of the function's document, so that a call is written one way."""
    names = pool[call.name].parameters
    rest = [name for name in call.arguments if name not in names]
    return Call(call.name, {n: call.arguments[n] for n in [*names, *rest] if n in call.arguments})


def twins(function: str) -> set[str]:
    """Functions that some call of `function` can be written with."""
    return {b for a, b, _ in _AT if a == function} | {a for a, b, _ in _AT if b == function}


def _places(call: Call, domain: str, home: Home) -> list[Call]:
    """A device's name is unique in the home, so its area and floor may be said or left out."""
    device = home.by_name.get((domain, str(call.arguments.get("name"))))
    if device is None or not device.area:
        return []
    bare = {key: value for key, value in call.arguments.items() if key not in ("area", "floor")}
    places = [{}, {"area": device.area}, {"floor": device.floor} if device.floor else {}]
    return [Call(call.name, {**bare, **place}) for place in places]


def _twins(call: Call) -> list[Call]:
    found = []
    for (one, other, argument), value in _AT.items():
        if call.name == one:
            found.append(Call(other, {**call.arguments, argument: value}))
        elif call.name == other and call.arguments.get(argument) == value:
            rest = {key: v for key, v in call.arguments.items() if key != argument}
            if not rest.keys() & {"color", "color_temperature", "brightness"}:
                found.append(Call(one, rest))
    return found


def _durations(call: Call) -> list[Call]:
    """90 minutes = 1 hour 30 minutes = 5400 seconds, for the time of a timer and for the time it is known by."""
    found = []
    for prefix in ("", "start_"):
        spoken = {unit: call.arguments[prefix + unit] for unit in _SECONDS if prefix + unit in call.arguments}
        total = sum(int(str(value)) * _SECONDS[unit] for unit, value in spoken.items())
        if not total:
            continue
        rest = {key: value for key, value in call.arguments.items() if key not in {prefix + unit for unit in spoken}}
        for units in _readings(total):
            found.append(Call(call.name, {**{prefix + unit: n for unit, n in units.items()}, **rest}))
    return found


def _readings(total: int) -> list[dict[str, int]]:
    """`total` seconds in the fewest mixed units, and in each single unit that divides it."""
    mixed, left = {}, total
    for unit, size in _SECONDS.items():
        if left >= size:
            mixed[unit], left = divmod(left, size)
    single = [{unit: total // size} for unit, size in _SECONDS.items() if total % size == 0]
    return [mixed, *single]
