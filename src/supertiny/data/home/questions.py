"""Questions that people ask and the package's grammar lacks, in hassil's template syntax."""

from supertiny.data.home.phrases import Key

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
