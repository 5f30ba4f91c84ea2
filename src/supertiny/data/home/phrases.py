"""Commands that people say and the package's grammar lacks, in hassil's template syntax.

Key: (intent, slot combination, domain of the named device or ""). They join the package's own templates.
"""

Key = tuple[str, str, str]

_ON = {"light": "light", "switch": "switch", "fan": "fan", "climate": "climate"}
_ONOFF = {
    ("HassTurnOn", "name_only"): [
        "i need the {name} on",
        "get the {name} going",
        "power on the {name}",
        "put the {name} on",
    ],
    ("HassTurnOff", "name_only"): [
        "i don't need the {name} anymore",
        "shut off the {name}",
        "power off the {name}",
        "kill the {name}",
    ],
    ("HassTurnOn", "name_area"): ["i need the {name} in the {area} on", "power on the {name} in the {area}"],
    ("HassTurnOff", "name_area"): ["shut off the {name} in the {area}", "power off the {name} in the {area}"],
}

_CLASS = "{cover_classes:device_class}"
COMMANDS: dict[Key, list[str]] = {
    ("HassTurnOn", "area_domain", "light"): [
        "i need light in the {area}",
        "it's too dark in the {area}",
        "brighten up the {area}",
        "turn on the light in the {area}",
        "switch the {area} light on",
    ],
    ("HassTurnOff", "area_domain", "light"): [
        "kill the lights in the {area}",
        "make the {area} dark",
        "nobody is in the {area}, lights off",
        "turn off the light in the {area}",
        "switch the {area} light off",
    ],
    ("HassTurnOn", "domain_only", "light"): [
        "it's too dark <here>",
        "i can't see anything",
        "give me some light",
        "turn the light on",
        "switch on the light",
    ],
    ("HassTurnOff", "domain_only", "light"): [
        "kill the lights [<here>]",
        "make it dark <here>",
        "turn the light off",
        "switch off the light",
    ],
    ("HassTurnOff", "domain_all", "light"): ["kill all the lights", "every light off", "lights out <everywhere>"],
    ("HassTurnOn", "name_only", "cover"): [
        "i want the {name} open",
        "get the {name} open",
        "could the {name} be opened",
    ],
    ("HassTurnOff", "name_only", "cover"): [
        "i want the {name} closed",
        "make sure the {name} is closed",
        "pull the {name} closed",
    ],
    ("HassTurnOn", "device_class_cover", "cover"): [
        f"pull up the {_CLASS} [<here>]",
        f"let some light in through the {_CLASS}",
    ],
    ("HassTurnOff", "device_class_cover", "cover"): [f"pull down the {_CLASS} [<here>]", f"i want the {_CLASS} closed"],
    ("HassTurnOn", "area_device_class_cover", "cover"): [
        f"pull up the {_CLASS} in the {{area}}",
        f"i want the {_CLASS} in the {{area}} open",
    ],
    ("HassTurnOff", "area_device_class_cover", "cover"): [
        f"pull down the {_CLASS} in the {{area}}",
        f"i want the {_CLASS} in the {{area}} closed",
    ],
    ("HassTurnOn", "name_only", "valve"): [
        "let water through the {name}",
        "i want the {name} open",
        "turn on the {name}",
        "get the {name} open",
    ],
    ("HassTurnOff", "name_only", "valve"): [
        "i want the {name} closed",
        "turn off the {name}",
        "make sure the {name} is closed",
    ],
    ("HassTurnOn", "name_only", "lock"): [
        "make sure the {name} is locked",
        "i want the {name} locked",
        "lock up the {name}",
        "put the lock on the {name}",
        "secure the {name}",
    ],
    ("HassTurnOff", "name_only", "lock"): [
        "i want the {name} unlocked",
        "release the lock on the {name}",
        "undo the lock on the {name}",
        "get the {name} unlocked",
    ],
    ("HassTurnOn", "name_area", "lock"): ["secure the {name} in the {area}"],
    ("HassTurnOff", "name_area", "lock"): ["undo the lock on the {name} in the {area}"],
    ("HassTurnOn", "name_only", "input_boolean"): [
        "turn on {name}",
        "switch {name} on",
        "enable {name}",
        "start {name}",
        "put the house in {name}",
        "go into {name}",
    ],
    ("HassTurnOff", "name_only", "input_boolean"): [
        "turn off {name}",
        "switch {name} off",
        "disable {name}",
        "end {name}",
        "take the house out of {name}",
        "leave {name}",
    ],
    ("HassTurnOn", "name_scene", "scene"): [
        "set the {name} scene",
        "set the mood to {name}",
        "i want the {name} scene",
    ],
    ("HassTurnOn", "name_area_scene", "scene"): [
        "set the {name} scene in the {area}",
        "i want the {name} scene in the {area}",
    ],
    ("HassTurnOn", "name_script", "script"): [
        "run the {name} script",
        "run {name}",
        "execute the {name} script",
        "start the {name} script",
        "kick off the {name} script",
    ],
    ("HassTurnOn", "name_button", "button"): [
        "hit the {name} button",
        "tap the {name} button",
        "push the button for {name}",
        "trigger the {name} button",
    ],
    ("HassSetPosition", "name_only", "cover"): [
        "set the {name} to {position} percent",
        "move the {name} to {position} percent",
        "put the {name} at {position} percent",
        "i want the {name} {position} percent open",
    ],
    ("HassSetPosition", "name_only", "valve"): [
        "set the {name} to {position} percent",
        "put the {name} at {position} percent",
        "i want the {name} {position} percent open",
    ],
    ("HassSetPosition", "area_device_class", "cover"): [
        f"move the {_CLASS} in the {{area}} to {{position}} percent",
        f"i want the {_CLASS} in the {{area}} {{position}} percent open",
    ],
    ("HassSetPosition", "device_class", "cover"): [
        f"move the {_CLASS} to {{position}} percent",
        f"i want the {_CLASS} {{position}} percent open",
    ],
    ("HassLightSet", "name_brightness", "light"): [
        "dim the {name} to {brightness} percent",
        "i want the {name} at {brightness} percent",
    ],
    ("HassLightSet", "area_brightness", "light"): [
        "dim the {area} lights to {brightness} percent",
        "dim the lights in the {area} to {brightness} percent",
    ],
    ("HassLightSet", "brightness_only", "light"): [
        "dim the lights to {brightness} percent",
        "set the lights to {brightness} percent",
        "lights at {brightness} percent",
    ],
    ("HassLightSet", "floor_brightness", "light"): [
        "dim the lights on the {floor} to {brightness} percent",
        "set the {floor} lights to {brightness} percent",
    ],
    ("HassLightSet", "name_color", "light"): [
        "make the {name} {color}",
        "i want the {name} in {color}",
        "turn the {name} {color}",
    ],
    ("HassLightSet", "area_color", "light"): [
        "make the {area} lights {color}",
        "turn the lights in the {area} {color}",
        "i want {color} light in the {area}",
    ],
    ("HassLightSet", "color_only", "light"): [
        "make the lights {color}",
        "turn the lights {color}",
        "i want {color} light [<here>]",
    ],
    ("HassLightSet", "floor_color", "light"): [
        "make the {floor} lights {color}",
        "turn the lights on the {floor} {color}",
    ],
    ("HassFanSetSpeed", "name_only", "fan"): [
        "run the {name} at {fan_speed:percentage} percent",
        "put the {name} at {fan_speed:percentage} percent",
    ],
    ("HassFanSetSpeed", "area_only", "fan"): ["run the {area} fans at {fan_speed:percentage} percent"],
    ("HassFanSetSpeed", "default", "fan"): ["run the fan at {fan_speed:percentage} percent"],
    ("HassClimateSetTemperature", "temperature_only", ""): [
        "make it {temperature} degrees [<here>]",
        "i want it {temperature} degrees [<here>]",
        "heat this room to {temperature} degrees",
    ],
    ("HassClimateSetTemperature", "area_temperature", ""): [
        "make it {temperature} degrees in the {area}",
        "heat the {area} to {temperature} degrees",
        "cool the {area} to {temperature} degrees",
    ],
    ("HassClimateSetTemperature", "name_temperature", "climate"): [
        "put the {name} on {temperature} degrees",
        "i want the {name} at {temperature} degrees",
    ],
    ("HassClimateSetTemperature", "floor_temperature", ""): ["heat the {floor} to {temperature} degrees"],
    ("HassBroadcast", "message_only", ""): [
        "tell everyone {message}",
        "let everybody know that {message}",
        "make an announcement that {message}",
        "announce to the whole house {message}",
        "say {message} on all speakers",
    ],
    ("HassCancelAllTimers", "default", ""): ["clear all timers", "get rid of all my timers", "end every timer"],
    ("HassCancelAllTimers", "area_only", ""): ["clear all timers in the {area}", "end every timer in the {area}"],
    ("HassNevermind", "default", ""): [
        "forget it",
        "forget about it",
        "cancel that request",
        "ignore that",
        "scratch that",
        "don't bother",
    ],
}

for (_intent, _combo), _sentences in _ONOFF.items():
    for _domain in _ON:
        COMMANDS.setdefault((_intent, _combo, _domain), []).extend(_sentences)
OOD: dict[Key, list[str]] = {
    ("HassMediaNext", "name_only", "media_player"): ["play the next song on the {name}", "next song on the {name}"],
    ("HassMediaPause", "name_only", "media_player"): ["pause whatever is playing on the {name}"],
    ("HassSetVolume", "name_only", "media_player"): ["set the volume on the {name} to {volume:volume_level} percent"],
    ("HassLawnMowerStartMowing", "default", ""): ["mow the lawn", "cut the grass"],
    ("HassLawnMowerDock", "default", ""): ["stop mowing the lawn", "send the mower back to its dock"],
    ("HassLawnMowerDock", "name_only", "lawn_mower"): ["dock the {name}", "send the {name} back to its dock"],
    ("HassVacuumStart", "name_only", "vacuum"): ["send out the {name}", "have the {name} clean up"],
    ("HassVacuumReturnToBase", "name_only", "vacuum"): [
        "send the {name} home",
        "dock the {name}",
        "send the {name} back to its base",
    ],
    ("HassGetState", "name_only", "media_player"): ["what is playing on the {name}", "what's on the {name}"],
    ("HassTurnOn", "name_only", "media_player"): ["put the {name} on", "power on the {name}"],
    ("HassTurnOff", "name_only", "media_player"): ["power off the {name}", "shut off the {name}"],
}
