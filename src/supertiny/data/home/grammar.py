"""The templates: the package's grammar, rewritten where only a grammar would say it, and our own phrases."""

import re
from dataclasses import dataclass
from typing import Any

import home_assistant_intents
from hassil.expression import Expression
from hassil.intents import Intents

from supertiny.data.home.documents import FUNCTION_OF
from supertiny.data.home.phrases import COMMANDS, OOD
from supertiny.data.home.questions import QUESTIONS
from supertiny.data.home.rewrites import DROPPED, NOWHERE, REWRITES, RULES, UNLIKELY


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
