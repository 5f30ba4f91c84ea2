"""The function pool: the package's own descriptions, per intent and, where an intent serves many, per domain."""

import json
import re
from importlib.resources import files
from typing import Any

from supertiny.core.calls import Function, Parameter

OOD_DOMAINS = ("media_player", "vacuum", "lawn_mower", "todo")
"""the scenario whose functions are never trained on: media, vacuum and mower, lists"""

_ON_OFF = {
    "light": "light",
    "switch": "switch",
    "fan": "fan",
    "climate": "climate",
    "input_boolean": "mode",
    "media_player": "media_player",
}

FUNCTION_OF: dict[tuple[str, str], str] = {
    **{("HassTurnOn", domain): f"turn_on_{name}" for domain, name in _ON_OFF.items()},
    **{("HassTurnOff", domain): f"turn_off_{name}" for domain, name in _ON_OFF.items()},
    ("HassTurnOn", "cover"): "open_cover",
    ("HassTurnOff", "cover"): "close_cover",
    ("HassTurnOn", "valve"): "open_valve",
    ("HassTurnOff", "valve"): "close_valve",
    ("HassTurnOn", "lock"): "lock_door",
    ("HassTurnOff", "lock"): "unlock_door",
    ("HassTurnOn", "scene"): "activate_scene",
    ("HassTurnOn", "script"): "run_script",
    ("HassTurnOn", "button"): "press_button",
    **{("HassGetState", d): f"get_{d}_state" for d in ("light", "switch", "fan", "cover", "lock", "valve", "climate")},
    ("HassGetState", "media_player"): "get_media_player_state",
    ("HassGetState", "sensor"): "get_sensor_value",
    ("HassGetState", "binary_sensor"): "get_contact_state",
    ("HassGetState", "detector"): "get_detector_state",
    ("HassGetState", "person"): "locate_person",
    ("HassSetPosition", "cover"): "set_cover_position",
    ("HassSetPosition", "valve"): "set_valve_position",
    ("HassLightSet", "light"): "set_light",
    ("HassFanSetSpeed", "fan"): "set_fan_speed",
    ("HassFanSetSpeed", ""): "set_fan_speed",
    ("HassClimateGetTemperature", "climate"): "get_temperature",
    ("HassClimateGetTemperature", ""): "get_temperature",
    ("HassClimateSetTemperature", "climate"): "set_temperature",
    ("HassClimateSetTemperature", ""): "set_temperature",
    ("HassClimateSetFanMode", "climate"): "set_climate_fan_mode",
    ("HassClimateSetFanMode", ""): "set_climate_fan_mode",
    ("HassStartTimer", ""): "start_timer",
    ("HassCancelTimer", ""): "cancel_timer",
    ("HassCancelAllTimers", ""): "cancel_all_timers",
    ("HassIncreaseTimer", ""): "increase_timer",
    ("HassDecreaseTimer", ""): "decrease_timer",
    ("HassPauseTimer", ""): "pause_timer",
    ("HassUnpauseTimer", ""): "resume_timer",
    ("HassTimerStatus", ""): "get_timer_status",
    ("HassGetWeather", "weather"): "get_weather",
    ("HassGetWeather", ""): "get_weather",
    ("HassGetCurrentTime", ""): "get_time",
    ("HassGetCurrentDate", ""): "get_date",
    ("HassBroadcast", ""): "broadcast_message",
    ("HassNevermind", ""): "never_mind",
    **{
        (f"HassMedia{verb}", d): name
        for d in ("", "media_player")
        for verb, name in {
            "Next": "next_track",
            "Previous": "previous_track",
            "Pause": "pause_media",
            "Unpause": "resume_media",
            "PlayerMute": "mute_media_player",
            "PlayerUnmute": "unmute_media_player",
            "SearchAndPlay": "play_media",
        }.items()
    },
    **{
        (intent, d): name
        for d in ("", "media_player")
        for intent, name in {"HassSetVolume": "set_volume", "HassSetVolumeRelative": "change_volume"}.items()
    },
    **{
        (f"HassVacuum{verb}", d): name
        for d in ("", "vacuum")
        for verb, name in {"Start": "start_vacuum", "ReturnToBase": "dock_vacuum", "CleanArea": "vacuum_area"}.items()
    },
    **{
        (f"HassLawnMower{verb}", d): name
        for d in ("", "lawn_mower")
        for verb, name in {"StartMowing": "start_mower", "Dock": "dock_mower"}.items()
    },
    ("HassListAddItem", "todo"): "add_list_item",
    ("HassListCompleteItem", "todo"): "complete_list_item",
    ("HassListRemoveItem", "todo"): "remove_list_item",
    ("HassShoppingListAddItem", ""): "add_shopping_item",
    ("HassShoppingListCompleteItem", ""): "complete_shopping_item",
}
"""(intent, domain of the device, "" where it makes no difference) -> function"""

_VERB = {
    "HassTurnOn": "Turns on {}",
    "HassTurnOff": "Turns off {}",
    "HassGetState": "Gets or checks the state of {}",
    "HassSetPosition": "Sets the position of {}",
}
_SAID = {
    "open_cover": "Opens a cover: blinds, curtains, shutters, garage door",
    "close_cover": "Closes a cover: blinds, curtains, shutters, garage door",
    "open_valve": "Opens a valve",
    "close_valve": "Closes a valve",
    "lock_door": "Locks a lock",
    "unlock_door": "Unlocks a lock",
    "activate_scene": "Activates a scene",
    "run_script": "Runs a script",
    "press_button": "Presses a button",
    "get_sensor_value": "Gets the value of a sensor",
    "get_contact_state": "Checks whether a contact sensor is open or closed",
    "get_detector_state": "Checks whether a detector is triggered or clear",
    "locate_person": "Gets or checks where people are",
    "set_light": "Sets the brightness or color of a light",
    "turn_on_mode": "Turns on a mode of the house",
    "turn_off_mode": "Turns off a mode of the house",
    "turn_on_switch": "Turns on a switch or an appliance",
    "turn_off_switch": "Turns off a switch or an appliance",
    "turn_on_climate": "Turns on a heating or cooling device",
    "turn_off_climate": "Turns off a heating or cooling device",
    "play_media": "Searches for a media item and plays it",
    "resume_media": "Resumes a paused media player",
}
_THING = {
    "media_player": "media player",
    "cover": "cover",
    "lawn_mower": "lawn mower",
    "binary_sensor": "contact sensor",
    "input_boolean": "mode",
    "climate": "heating or cooling device",
    "todo": "list",
}
_BY_ROOM = "; the speaker's room where a command names no place"

RENAMED = {("HassLightSet", "temperature"): "color_temperature", ("HassStartTimer", "conversation_command"): "command"}
"""(intent, slot) -> parameter, where the slot's name says too little"""

_NUMBERS = {
    "brightness",
    "percentage",
    "position",
    "hours",
    "minutes",
    "seconds",
    "start_hours",
    "start_minutes",
    "start_seconds",
    "volume_level",
    "color_temperature",
}
_COLOR_NAMES = " (candle light 1900, warm white 2700, cool white 4000, daylight 6500)"


def build_pool(
    slots_of: dict[str, list[frozenset[str]]], enums: dict[tuple[str, str], list[str]]
) -> dict[str, Function]:
    """The functions by name; a parameter is required where every combination in `slots_of` fills it."""
    meta = json.loads((files("home_assistant_intents") / "intents.json").read_text(encoding="utf-8"))
    pool: dict[str, Function] = {}
    for (intent, domain), name in FUNCTION_OF.items():
        if name in pool or name not in slots_of:
            continue
        shown = domain or _default_domain(intent, meta)
        slots = {RENAMED.get((intent, slot), slot): body for slot, body in meta[intent].get("slots", {}).items()}
        combos = slots_of[name]
        parameters = {
            slot: Parameter(
                _type(intent, slot),
                _describe(intent, slot, body["description"], shown),
                all(slot in combo for combo in combos),
                tuple(enums.get((name, slot), ())),
            )
            for slot, body in slots.items()
            if any(slot in combo for combo in combos)
        }
        pool[name] = Function(name, _description(intent, name, shown, meta), parameters, shown)
    return pool


def _default_domain(intent: str, meta: dict[str, Any]) -> str:
    domain = str(meta[intent]["domain"])
    if "Timer" in intent:
        return "timer"
    return {"homeassistant": "assistant", "assist_satellite": "assistant", "shopping_list": "todo"}.get(domain, domain)


def _description(intent: str, name: str, domain: str, meta: dict[str, Any]) -> str:
    if name in _SAID:
        return _SAID[name]
    thing = _THING.get(domain, domain)
    article = "an" if thing[:1] in "aeiou" else "a"
    return _VERB[intent].format(f"{article} {thing}") if intent in _VERB else _plain(meta[intent]["description"])


def _plain(description: str) -> str:
    """The package's words without its asides, which name intents nobody here knows."""
    return re.sub(r" \([^)]*Hass[^)]*\)", "", description)


def _describe(intent: str, slot: str, said: str, domain: str) -> str:
    """The package's description of a slot, made definite by the domain and the rule of the room."""
    if slot == "name" and "device or entity" in said:
        return f"Name of the {_THING.get(domain, domain)}"
    if slot == "area" and "Timer" not in intent:
        return "Name of an area" + (
            _BY_ROOM if intent in _ROOM_INTENTS and domain not in ("switch", "lock", "valve") else ""
        )
    if slot == "state" and domain == "person":
        return "Name of the place"
    return said + (_COLOR_NAMES if slot == "color_temperature" else "")


_ROOM_INTENTS = {
    "HassTurnOn",
    "HassTurnOff",
    "HassSetPosition",
    "HassLightSet",
    "HassFanSetSpeed",
    "HassClimateGetTemperature",
    "HassClimateSetTemperature",
    "HassClimateSetFanMode",
}


def _type(intent: str, slot: str) -> str:
    if slot == "temperature":
        return "number"
    return "integer" if slot in _NUMBERS else "string"
