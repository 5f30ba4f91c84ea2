"""The home: named devices, where they are, and what the family calls them. One home per seed."""

import random
from dataclasses import dataclass, field

from supertiny.core.calls import Call, Malformed, Pool, Scalar, Value, check_call
from supertiny.data.dataset import Knowledge
from supertiny.data.home.english import AREAS, MARKS, NICKNAMES, NUM_VARIANTS, ROOMS, THINGS
from supertiny.data.home.functions import RENAMED

NICKNAMED = ("light", "switch", "fan", "cover", "lock", "valve", "climate", "media_player", "vacuum", "lawn_mower")
_KIND = {
    "media_player": "media player",
    "lawn_mower": "lawn mower",
    "binary_sensor": "contact sensor",
    "climate": "climate device",
}


@dataclass(frozen=True, slots=True)
class Device:
    """Something a query can name."""

    name: str
    domain: str
    area: str = ""
    floor: str = ""
    nickname: str = ""
    held_out: bool = False
    """named in dev, test and ood alone"""


@dataclass(slots=True)
class Home:
    """Every device by domain, the areas with their floors, and the rooms' nicknames."""

    devices: dict[str, list[Device]]
    floor_of: dict[str, str]
    area_nicknames: dict[str, str]
    """area -> nickname"""
    by_name: dict[tuple[str, str], Device] = field(init=False)

    def __post_init__(self) -> None:
        """Index the devices by (domain, name)."""
        self.by_name = {(d.domain, d.name): d for group in self.devices.values() for d in group}

    @property
    def areas(self) -> list[str]:
        """Every area of the home."""
        return list(self.floor_of)

    @property
    def floors(self) -> list[str]:
        """Every floor of the home."""
        return [floor for floor in AREAS if floor]

    def nicknames(self) -> Knowledge:
        """What each nickname stands for."""
        rooms = [(name, f"{name}: the {area}") for area, name in self.area_nicknames.items()]
        devices = [d for group in self.devices.values() for d in group if d.nickname]
        return rooms + [(d.nickname, f"{d.nickname}: {_explain(d)}") for d in devices]

    def inventory(self) -> Knowledge:
        """What kind of device each name is, of all that stand in a room: a bike shed is a lock only in this home."""
        return [(d.name, f"{d.name}: {_kind(d)}") for group in self.devices.values() for d in group if d.area]


def build_home(seed: int, held_out_share: float) -> Home:
    """The home of `seed`; `held_out_share` of its devices (not its scenes, people and so on) are held out."""
    rng = random.Random(f"home:{seed}")
    floor_of = {area: floor for floor, areas in AREAS.items() for area in areas.split("|")}
    nicknames = NICKNAMES[""].split("|")
    rng.shuffle(nicknames)
    devices = {}
    for domain, things in THINGS.items():
        names = _names(rng, domain, things)
        held_out = set(rng.sample(sorted(names), round(len(names) * held_out_share)))
        group = []
        for name, kind in names.items():
            area = rng.choice(ROOMS[kind].split("|")) if kind else ""
            wants = domain in NICKNAMED and nicknames and rng.random() < _nickname_rate(domain)
            nickname = nicknames.pop() if wants else ""
            group.append(Device(name, domain, area, floor_of.get(area, ""), nickname, name in held_out))
        devices[domain] = group
    named = dict(pair.split(":")[::-1] for pair in NICKNAMES["area"].split("|"))
    return Home(devices, floor_of, named)


def _names(rng: random.Random, domain: str, things: str) -> dict[str, str]:
    """Unique name -> kind of room: each thing, and some more of it with a mark in front."""
    names = {}
    for thing in things.split("|"):
        noun, kind = thing.split(":")
        names[noun] = kind
        if noun.split()[0] not in MARKS.split("|"):
            for mark in rng.sample(MARKS.split("|"), NUM_VARIANTS.get(domain, 0)):
                names[f"{mark} {noun}"] = kind
    return names


def _nickname_rate(domain: str) -> float:
    return {"light": 0.15, "switch": 0.15, "vacuum": 0.5, "lawn_mower": 0.5}.get(domain, 0.22)


def _kind(device: Device) -> str:
    return _KIND.get(device.domain, device.domain)


def _explain(device: Device) -> str:
    kind = f"{'an' if _kind(device)[0] in 'aeiou' else 'a'} {_kind(device)}"
    preposition = "on" if device.area in ("patio", "porch", "balcony", "driveway") else "in"
    name = device.name if "'s " in device.name else f"the {device.name}"
    return f"{name}, {kind} {preposition} the {device.area}"


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
    """`call` first, then the calls that do the same: by place, by twin function, by other units of time.

    All of them call functions of `pool`: without that of `call` there is none.
    """
    if call.name not in pool:
        return ()
    found = [call]
    for step in (lambda c: _places(c, domain, home), _twins, _durations):
        found += [other for known in list(found) for other in step(known)]
    distinct: list[Call] = []
    for other in (one for one in found if one.name in pool):
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
