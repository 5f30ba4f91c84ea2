"""The home: named devices, where they are, and what the family calls them. One home per seed."""

import random
from dataclasses import dataclass, field

from supertiny.data.dataset import Knowledge
from supertiny.data.home.words import AREAS, MARKS, NICKNAMES, NUM_VARIANTS, ROOMS, THINGS

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
