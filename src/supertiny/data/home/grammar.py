"""The templates: the package's grammar, rewritten where only a grammar would say it, and our own phrases."""

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import home_assistant_intents
from hassil.expression import Expression
from hassil.intents import Intents

from supertiny.data.home.english import sounds_like
from supertiny.data.home.functions import FUNCTION_OF
from supertiny.data.home.phrases import COMMANDS, DROPPED, NOWHERE, OOD, REWRITES, RULES, UNLIKELY, Key

_STATES = {
    "light": ("lights", "{on_off_states:state}"),
    "fan": ("fans", "{on_off_states:state}"),
    "switch": ("switches", "{on_off_states:state}"),
    "lock": ("doors", "{lock_states:state}"),
}

QUESTIONS: dict[Key, list[str]] = {
    ("HassClimateGetTemperature", "default", ""): ["is it warm <here>", "how many degrees is it <here>"],
    ("HassClimateGetTemperature", "area_only", ""): [
        "how many degrees is it in the {area}",
        "is it cold in the {area}",
    ],
    ("HassClimateGetTemperature", "name_only", "climate"): [
        "what temperature does the {name} show",
        "how many degrees does the {name} read",
    ],
    ("HassGetCurrentTime", "default", ""): [
        "do you have the time",
        "how late is it",
        "what hour is it",
        "give me the time",
    ],
    ("HassGetCurrentDate", "default", ""): [
        "what day is it",
        "which day is today",
        "what's today's date",
        "give me the date",
    ],
    ("HassGetWeather", "default", ""): [
        "how is the weather",
        "what's it like outside",
        "do i need an umbrella",
        "give me the weather",
    ],
    ("HassGetWeather", "name_only", "weather"): [
        "how is the weather in {name}",
        "what's it like outside in {name}",
        "give me the weather for {name}",
    ],
    ("HassGetState", "name_where", "person"): ["where has {name} gone", "do you know where {name} is", "find {name}"],
    ("HassGetState", "name_zone", "person"): [
        "is {name} at {zone:state}",
        "has {name} arrived at {zone:state}",
        "did {name} make it to {zone:state}",
    ],
    ("HassGetState", "domain_state", "person"): [
        "is anyone at {zone:state}",
        "who is at {zone:state}",
        "is everyone at {zone:state}",
        "how many people are at {zone:state}",
        "is somebody at {zone:state}",
    ],
    ("HassGetState", "name_state", "binary_sensor"): [
        "did someone leave the {name} {bs_open_states:state}",
        "tell me if the {name} is {bs_open_states:state}",
    ],
    ("HassGetState", "name_state", "detector"): [
        "has the {name} been {bs_occupancy_states:state}",
        "tell me if the {name} is {bs_occupancy_states:state}",
    ],
    ("HassGetState", "name_only", "sensor"): [
        "<what_is> the {name}",
        "what does the {name} say",
        "how is the {name}",
        "give me the {name} reading",
        "read me the {name}",
    ],
    ("HassGetState", "name_state", "lock"): [
        "did i leave the {name} {lock_states:state}",
        "tell me if the {name} is {lock_states:state}",
    ],
    ("HassGetState", "name_state", "cover"): [
        "did i leave the {name} {cover_states:state}",
        "tell me if the {name} is {cover_states:state}",
    ],
    ("HassGetState", "name_state", "valve"): [
        "did i leave the {name} {cover_states:state}",
        "tell me if the {name} is {cover_states:state}",
    ],
}

for _domain, (_noun, _state) in _STATES.items():
    if _domain != "lock":
        QUESTIONS[("HassGetState", "name_state", _domain)] = [
            f"did i leave the {{name}} {_state}",
            f"tell me if the {{name}} is {_state}",
        ]
    QUESTIONS[("HassGetState", "domain_state", _domain)] = [
        f"tell me which {_noun} are {_state}",
        f"did i leave any {_noun} {_state}",
    ]
    QUESTIONS[("HassGetState", "domain_state_area", _domain)] = [f"did i leave any {_noun} {_state} in the {{area}}"]
for _domain in ("light", "switch", "fan", "cover", "lock", "valve", "climate"):
    QUESTIONS[("HassGetState", "name_only", _domain)] = [
        "<what_is> the (state|status) of the {name}",
        "check the {name}",
        "what state is the {name} in",
        "what's going on with the {name}",
        "give me the status of the {name}",
    ]


@dataclass(frozen=True, slots=True)
class Template:
    """One sentence of the grammar as it serves one function."""

    id: str
    """intent and text: the same for every function the sentence serves"""
    intent: str
    combo: str
    """the package's name for the slots it fills"""
    function: str
    domain: str
    """of the device it names"""
    needs_room: bool
    """names no place: the call takes the speaker's room"""
    expression: Expression


def load_grammar() -> tuple[list[Template], dict[str, Any]]:
    """Every template, and the expansion rules they refer to."""
    data = home_assistant_intents.get_intents("en")
    data["expansion_rules"] = {**data["expansion_rules"], **RULES}
    for intent, body in data["intents"].items():
        body["data"] = [b for block in body["data"] if (b := _kept(intent, block))["sentences"]] + _extra(intent)
    parsed = Intents.from_dict(data)
    templates: dict[tuple[str, str], Template] = {}
    for intent, body in parsed.intents.items():
        for block in body.data:
            for sentence in block.sentences:
                for template in _served(intent, block, sentence):
                    templates.setdefault((template.id, template.function), template)
    return list(templates.values()), parsed.expansion_rules


def _kept(intent: str, block: dict[str, Any]) -> dict[str, Any]:
    """A block of the package with its sentences rewritten; those only a grammar would say are left out."""
    combo = block["metadata"]["slot_combination"]
    sentences = [] if re.search(UNLIKELY, combo) else [_rewrite(text) for text in block["sentences"]]
    if intent == "HassGetState" and combo in ("name_only", "domain_state_floor"):
        sentences = [text for text in sentences if "{floor}" in text]
    kept = [text for text in sentences if not any(re.search(pattern, text) for pattern in DROPPED)]
    return {**block, "sentences": list(dict.fromkeys(kept))}


def _rewrite(text: str) -> str:
    for pattern, into in REWRITES:
        text = re.sub(pattern, into, text)
    return text


def _extra(intent: str) -> list[dict[str, Any]]:
    """Blocks of our own phrases, in the package's form."""
    return [
        {
            "metadata": {"slot_combination": combo, "ours": domain},
            "requires_context": {"area": {"slot": True}} if _room_combo(intent, combo) else {},
            "sentences": sentences,
        }
        for (name, combo, domain), sentences in {**COMMANDS, **QUESTIONS, **OOD}.items()
        if name == intent
    ]


def _room_combo(intent: str, combo: str) -> bool:
    """Whether this combination of slots leaves the place to the speaker's room."""
    by_room = {"domain_only", "device_class_cover", "device_class", "brightness_only", "color_only", "temperature_only"}
    return combo in by_room or (combo == "default" and intent in ("HassFanSetSpeed", "HassClimateGetTemperature"))


def _served(intent: str, block: Any, sentence: Any) -> list[Template]:
    """One template per function that the sentence of `block` serves."""
    combo = block.metadata["slot_combination"]
    needs_room = isinstance(block.requires_context.get("area"), dict)
    return [
        Template(
            f"{intent}: {sentence.text}",
            intent,
            combo,
            FUNCTION_OF[intent, domain],
            domain,
            needs_room,
            sentence.expression,
        )
        for domain in _domains(intent, block, sentence.text)
        if (intent, domain) in FUNCTION_OF and not (domain in NOWHERE and combo in ("name_area", "name_floor"))
    ]


def _domains(intent: str, block: Any, text: str) -> list[str]:
    """Domains of the devices a block speaks of; "" where its intent has one function whatever the domain."""
    if "ours" in block.metadata:
        domains = [block.metadata["ours"]]
    else:
        required = block.requires_context.get("domain") or block.slots.get("domain") or ""
        domains = required if isinstance(required, list) else [required]
    if "bs_occupancy" in text:
        domains = ["detector" if domain == "binary_sensor" else domain for domain in domains]
    return [domain if (intent, domain) in FUNCTION_OF else "" for domain in domains] if domains != [""] else [""]


HELD_OUT = ("test", "dev", "expert")
"""splits with templates of their own, in the order they choose; what is left is train's"""
_SLOT = re.compile(r"\{(\w+)(?::\w+)?\}")


def sentence(template_id: str) -> str:
    """What the template says, whatever it asks for: templates of one sentence belong to one split.

    >>> sentence("HassSetPosition: put the {name} at {position} percent")
    'put the {name} at {number} percent'
    >>> sentence("follow: value brightness: no, {x} percent") == sentence("follow: value position: no, {x} percent")
    True
    """
    text = template_id.rpartition(": ")[2].replace("{it}", "it")
    return _SLOT.sub(lambda slot: "{" + ("number" if slot[1] == "x" else sounds_like(slot[1])) + "}", text)


def split_templates(templates: Iterable[Template], seed: int, shares: dict[str, float]) -> dict[str, str]:
    """Template id -> train, expert, dev or test; `shares` of every function's sentences are held out.

    Templates that say the same sentence go together.
    Train keeps at least one template of every function, of every combination of slots and every list of values in it.
    """
    rng = random.Random(f"templates:{seed}")
    functions: dict[str, set[str]] = defaultdict(set)
    needs: dict[str, set[tuple[str, str]]] = defaultdict(set)
    left: Counter[tuple[str, str]] = Counter()
    templates = list(templates)
    for template in templates:
        said = sentence(template.id)
        functions[template.function].add(said)
        for need in (template.combo, *re.findall(r"\{(\w+)", template.id)):
            pair = (template.function, need)
            if pair not in needs[said]:
                needs[said].add(pair)
                left[pair] += 1
    home = dict.fromkeys(needs, "train")
    for split in HELD_OUT:
        for name in sorted(functions):
            sentences = sorted(functions[name])
            rng.shuffle(sentences)
            wanted = math.ceil(shares[split] * len(sentences)) - sum(home[said] == split for said in sentences)
            for said in sentences:
                if wanted > 0 and home[said] == "train" and all(left[pair] > 1 for pair in needs[said]):
                    home[said] = split
                    wanted -= 1
                    for pair in needs[said]:
                        left[pair] -= 1
    return {template.id: home[sentence(template.id)] for template in templates}


def split_plain(ids: list[str], seed: int, shares: dict[str, float]) -> dict[str, str]:
    """The same for hand-written requests, grouped by what stands before the last colon.

    A sentence of several groups goes where the first of them puts it; train keeps some sentence of every group.
    """
    rng = random.Random(f"phrases:{seed}")
    groups: dict[str, list[str]] = defaultdict(list)
    for template_id in ids:
        groups[template_id.rpartition(": ")[0]].append(sentence(template_id))
    home: dict[str, str] = {}
    for group in groups.values():
        free = [said for said in group if said not in home]
        rng.shuffle(free)
        for split in HELD_OUT:
            kept = sum(home.get(said, "train") == "train" for said in group)
            wanted = math.ceil(shares[split] * len(group)) - sum(home.get(said) == split for said in group)
            wanted = max(0, min(wanted, len(free), kept - 1))
            home.update(dict.fromkeys(free[:wanted], split))
            free = free[wanted:]
        home.update(dict.fromkeys(free, "train"))
    return {template_id: home[sentence(template_id)] for template_id in ids}
