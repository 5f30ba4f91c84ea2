"""The templates: the package's grammar, rewritten where only a grammar would say it, and our own phrases."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import home_assistant_intents
from hassil.expression import Expression
from hassil.intents import Intents

from supertiny.data.home.documents import FUNCTION_OF
from supertiny.data.home.phrases import EXTRA

RULES = {
    "all": "(all (the|my)|all|all of the)",
    "everywhere": "(everywhere|in the [whole|entire] house|throughout the house|in every room)",
    "here": "(in here|here|in this room)",
    "home": "(house|home)",
    "in": "in",
    "the": "(the|the|the|my)",
    "what_is": "(what's|what is|tell me)",
    "which": "(which|what)",
    "any": "(any|any of the)",
    "are_any": "are <any>",
    "are_all": "are all [the|my]",
    "how_many": "how many",
    "lockable": "(doors|locks)",
    "light": "(lights|lights|light|lamps)",
    "media": "(music|movie|show|song)",
    "turn": "(turn|switch)",
    "close": "(close|shut)",
    "open": "(open|open up)",
    "numeric_value_set": "(set|change)",
    "set": "(set|change)",
    "temp": "temperature",
    "timer_set": "(start|set|create)",
}
"""the package's expansion rules that we say differently"""

REWRITES = [
    (r"\[(<(?:numeric_value_set|set)>)\]", r"\1"),
    (r"\(<numeric_value_set>\|<open>\|<close>\)", "(set|move)"),
    (r"\(<open>\|<close>\) (?=.*\{position\})", "(set|move) "),
    (r"\(<numeric_value_set>\|adjust\)", "(set|change|adjust)"),
    (r"\(<what_is>\|<how_is>\)", "<what_is>"),
    (r"\{floor\} \[floor\]", "{floor}"),
    (r"\[(?:<in>|in)\] \[<the>\] \{(area|floor)\}", r"in the {\1}"),
    (r"(?:<in>|\(in\|on\)|\(of\|on\)|in) \[<the>\] \{(area|floor)\}", r"in the {\1}"),
    (r"\[it <in>\] \[<the>\]", "it in the"),
    (r"<light> \{floor\}", "<light> in the {floor}"),
    (r"\[<the>\] \{(area|floor)\}(?= <light>| fan| \{cover_classes)", r"<the> {\1}"),
    (r"\[<the>\] \{(area|floor)\}", r"the {\1}"),
    (r"\[?\(?\[\(\[ \]%\)\| percent\]", "(%| percent)"),
    (r"\[%\| percent\]", "(%| percent)"),
    (r"\[\(\[ \]°\)\|\( degree\[s\]\)\]", "[ degrees|°]"),
    (r"\[\[ \]\(k\|kelvin\)\]", "( kelvin|k)"),
    (r"\[to\] (?=[\{\[]|on|off)", "to "),
    (r"to (on|off)$", r"\1"),
    (r"to \[the\] (?=\{brightness_level)", "to "),
    (r"\( \|-\)(hour|minute|second)\[s\]", r" \1s"),
    (r"\(from\|off\)", "from"),
    (r"\[a\|an\|the\|my\] (?=timer|\{)", "a "),
    (r"\[and\]", "and"),
    (r"(?<=seconds)_", ""),
    (r"\{position\}\[\(\[ \]%\)\| percent\]", "{position}(%| percent)"),
    (r"(<which>.*|<how_many>.*|<all> <light> )<is>", r"\1are"),
    (r"^<is>", "is"),
    (r"fan\[s\]", "(fan|fans)"),
    (r"switch\[es\]", "switches"),
    (r"\(off\|out\)", "off"),
    (r"\[<all>\] \[<the>\] ", "[all] <the> "),
    (r"\[speed\] to", "speed to"),
    (r"\[position\] ", ""),
    (r"timer\[s\]", "timer"),
    (r"player\[s\]", "player"),
    (r"show\[s\]", "show"),
    (r"\[how much\] time \[is\] left", "how much time is left"),
    (r"how long \[is\] left", "how long is left"),
]
"""(pattern, replacement) on a template's text, in order"""

DROPPED = [
    r"\{name\} <light>", r"deactivate", r"^activate (?!.*scene)", r"^\[activate\]", r"^\[<the>\] (\{area\} )?\{name\}( <in> .*)? on$",
    r"^\[<the>\] \{name\}$", r"the \{area\} \[<the>\] \{name\}", r"^<light> on|^<light> off$", r"get every", r"light \(it",
    r"^\[<the>\] \{name\} \(play", r"\{area\} timer status|^\{.*timer status|^timer", r"status of", r"\(on\|in\) \{fan_mode\}",
    r"\[speed\] of \(in", r"to \{brightness\}.* brightness", r"to \{brightness_level:brightness\} brightness",
    r"in the \{area\} \{brightness", r"hour\[s\] timer", r"change\|transition", r"<turn> \(\[<the>\]", r"return to",
    r"brightness in the \{area\}", r"\[activate\]", r"do you know", r"^<how_is>", r"<home> <light>", r"\(off;",
    r"the \{floor\} to \{color\}", r"the \{floor\} color temperature", r"^\{timer_.*timer$", r"^\[<turn>\] the",
    r"mowing \[\[|^dock|^\(stop\|dock\)", r"\[<the>\] \{area\};", r"turn \[<the>\]", r"^\(\[<the>\] \{", r"^\(turn \(the volume",
    r"^\{volume_step\}", r"previous \(track", r"^play \{search_query\} \{media_class\}", r"\[\[<the> ?\]lawn", r"\(skip",
    r"^\(replay|^\(play|^\(go|^\(pause|^\(\(unpause", r"\(check\|complete\) \(off;", r"^next \[track", r"^<open> \[up\]",
    r"^\(light up\|illuminate\) the \{floor", r"<temp> \[<here>\] to", r"\[<here>\] <temp>",
]  # fmt: skip
"""templates (as rewritten) that match are left out: only a grammar would say them"""

NOWHERE = ("input_boolean",)
"""domains whose things stand in no room, so no sentence places them"""


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
    sentences = [_rewrite(text) for text in block["sentences"]]
    if intent == "HassGetState" and block["metadata"]["slot_combination"] in ("name_only", "domain_state_floor"):
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
        for (name, combo, domain), sentences in EXTRA.items()
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
        Template(f"{intent}: {sentence.text}", intent, combo, FUNCTION_OF[intent, domain], domain, needs_room,
                 sentence.expression)
        for domain in _domains(intent, block, sentence.text)
        if (intent, domain) in FUNCTION_OF and not (domain in NOWHERE and combo in ("name_area", "name_floor"))
    ]  # fmt: skip


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


def templates_per_function(templates: list[Template]) -> Counter[str]:
    """How many sentences serve each function."""
    return Counter(template.function for template in templates)
