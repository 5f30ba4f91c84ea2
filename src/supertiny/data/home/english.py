"""Making walked text natural English, and reducing it to its skeleton."""

import random
import re

MARK = re.compile("\x01([^\x02]*)\x02([^\x03]*)\x03")
"""a slot in walked text: placeholder \\x02 surface text"""

_UNITS = "hour|minute|second|degree"
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMERIC = re.compile(
    "brightness|position|fan_speed|(color_)?temperature|percent|number|volume(_step_up|_step_down)?|"
    "timer_(hours|minutes|seconds)"
)
"""slots that say a number"""
_SPOKEN_AS = {"device": "name"}
_ON_AREAS = "patio|porch|balcony|driveway|landing|lookout|[a-z]+ floor"
_NUMBER = rf"(?:\d+(?:\.\d+)?|(?:{'|'.join(_TENS[2:])})(?:-\w+)?|{'|'.join(_ONES)})"
_FIXES = [
    (r"\s+", " "),
    (rf"\b({_NUMBER} hours?) and ({_NUMBER} minutes?) and ", r"\1 \2 and "),
    (r"\btell me the weather like\b", "tell me the weather"),
    (rf"\b({_NUMBER}) ({_UNITS})s?(?= timer)", r"\1 \2"),
    (rf"\b({_NUMBER}) ({_UNITS})s?(?= and {_NUMBER} (?:{_UNITS})s? timer)", r"\1 \2"),
    (rf"\b(1|one) ({_UNITS})s\b", r"\1 \2"),
    (r"\b(1|one) and half hours?\b", "an hour and a half"),
    (r"\b(1|one) and half minutes?\b", "a minute and a half"),
    (rf"\b({_NUMBER}) and half (hour|minute)s?\b", r"\1 and a half \2s"),
    (rf"\b({_NUMBER}) and a half (hour|minute)\b(?! timer)", r"\1 and a half \2s"),
    (r"\ba half an hours?\b|\bhalf an hours?\b", "half an hour"),
    (r"\bhalf a minutes?\b", "half a minute"),
    (r"\b(the|my|our|an?) (?=(the|my|our|an?)\b)", ""),
    (r"\b(the|my|our|a) (?=[A-Z][a-z]+'s )", ""),
    (r"\ban (?=\d|one\b)", "a "),
    (r"\ba (?=8|11 |18 |eight|eleven|hour|orange)", "an "),
    (rf"\b(?:in|at) the ({_ON_AREAS})\b", r"on the \1"),
    (r"\b(all(?: of)?(?: the| my| our)?|any(?: of the)?|which|how many) (light|lamp|fan|switch)\b", r"\1 \2s"),
    (r"\b(fan|switch)ss\b|\bswitchs\b", r"switches"),
    (r"\bevery (light|lamp|fan)s\b", r"every \1"),
    (r"\bis (the [\w ]*?(?:lights|spotlights))\b", r"are \1"),
    (r"\bwhat is (the [\w ]*?(?:lights|spotlights))\b", r"what are \1"),
    (r" (%|°)", r"\1"),
    (r"(?<=[a-z])%", " percent"),
    (r"(?<=[a-z])°", " degrees"),
    (r"\s+", " "),
]
_PATTERNS = [(re.compile(pattern), into) for pattern, into in _FIXES]
_PROPER = re.compile(
    "\\b(?:the|my|our|a) (?=\x01(?:name:(?:input_boolean|person|weather)\x02|[^\x02]*\x02(?:the |[A-Z][a-z]|HQ)))"
)
_QUESTION = re.compile(r"(?i)(is|are|what|what's|how|which|where|where's|who|any|did|does|do|when|has)\b")
_BEFORE = (
    "please",
    "can you",
    "could you",
    "would you",
    "hey,",
    "ok,",
    "would you please",
    "could you please",
    "i want you to",
)
_AFTER = ("please", "for me", "now", "thanks", "for me please")
_COMMAND = re.compile(
    "(turn|switch|set|change|open|close|shut|lock|unlock|start|create|cancel|stop|pause|resume|continue|add|increase|"
    "decrease|remove|take|run|activate|dim|make|move|put|power|kill|enable|disable|brighten|announce|broadcast|"
    "press|push|"
    "tell|give|get|light|illuminate|heat|cool|adjust|pull|secure|release|undo|clear|find|check|read|book|order|"
    "play|skip|"
    "mute|unmute|vacuum|clean|dock|return|send|delete|complete|unpause)\\b(?!\\.)"
)


def surface(marked: str) -> str:
    """The query as a person would write it."""
    text = MARK.sub(lambda match: match[2], _PROPER.sub("", marked))
    for pattern, into in _PATTERNS:
        text = pattern.sub(into, text)
    return text.strip()


def skeleton(marked: str) -> str:
    """What is left of a query without its values, articles, plurals, politeness and case.

    Slots that sound alike are one, whatever argument they fill: numbers, things with a name, states.

    >>> skeleton("Turn on the \\x01name:light\\x02desk lamp\\x03 please")
    'turn on {name}'
    >>> skeleton("\\x01brightness\\x025\\x03%"), skeleton("\\x01position\\x02forty\\x03 percent")
    ('{number} percent', '{number} percent')
    """
    text = MARK.sub(lambda match: "{" + sounds_like(match[1].partition(":")[0]) + "}", marked).lower()
    text = re.sub(r"[^\w{}%' ]", " ", text).replace("%", " percent")
    text = re.sub(r"\b(please|can you|could you|would you|thanks|for me|hey|ok|now|i want you to)\b", " ", text)
    text = re.sub(r"\b(the|my|our|an?|of)\b", " ", text)
    text = re.sub(r"\b(tell me +weather) +like\b", r"\1", text)  # `surface` leaves it out
    text = re.sub(r"\b(\w{3,}[^s\W])s\b", r"\1", text)
    return re.sub(r"\s+", " ", text).strip()


def sounds_like(placeholder: str) -> str:
    """The kind of words that a slot is filled with.

    >>> sounds_like("fan_speed"), sounds_like("cover_states"), sounds_like("device"), sounds_like("area")
    ('number', 'state', 'name', 'area')
    """
    if _NUMERIC.fullmatch(placeholder):
        return "number"
    return "state" if placeholder.endswith("_states") else _SPOKEN_AS.get(placeholder, placeholder)


def decorate(rng: random.Random, query: str, share: float) -> str:
    """Politeness on `share` of the commands, and the casing and full stops people use or leave out."""
    question = bool(_QUESTION.match(query))
    if _COMMAND.match(query) and rng.random() < share:
        after = [words for words in _AFTER if not set(words.split()) & set(query.lower().split())]
        if rng.random() < 0.65:
            before = rng.choice(_BEFORE)
            query, question = f"{before} {query}", before.split()[0] in ("can", "could", "would")
        elif after:
            query = f"{query} {rng.choice(after)}"
    if rng.random() < 0.4:
        query = query[0].upper() + query[1:]
    if rng.random() < (0.5 if question else 0.15):
        query += "?" if question else "."
    return query


def in_words(number: int) -> str:
    """A whole number in [0, 100] as it is spoken.

    >>> in_words(42)
    'forty-two'
    """
    if number == 100:
        return "one hundred"
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")


AREAS = {
    "ground floor": "kitchen|living room|dining room|hallway|pantry|laundry room|study|sunroom|garage",
    "first floor": "bedroom|bathroom|nursery|guest room|office|landing|dressing room|kids room",
    "top floor": "attic|library|playroom|gym|master bedroom|music room",
    "lower floor": "basement|wine cellar|workshop|utility room|home cinema",
    "": "patio|garden|porch|balcony|driveway|greenhouse",
}
"""floor -> areas; those outside have no floor"""

ROOMS = {
    "in": "kitchen|living room|dining room|hallway|study|sunroom|bedroom|nursery|guest room|office|landing|"
    "dressing room|kids room|attic|library|playroom|gym|master bedroom|music room|basement|home cinema",
    "wet": "kitchen|bathroom|laundry room|utility room",
    "work": "office|study|library|workshop",
    "cook": "kitchen|dining room|pantry",
    "sleep": "bedroom|guest room|nursery|kids room|master bedroom",
    "sit": "living room|library|sunroom|study|music room|home cinema",
    "out": "patio|garden|porch|balcony|greenhouse",
    "any": "kitchen|living room|bathroom|bedroom|office|garage|basement|attic|hallway|workshop|gym|nursery|"
    "laundry room",
    "entry": "hallway|porch|utility room|garage|basement",
    "garage": "garage",
    "drive": "driveway|garden",
    "low": "basement|utility room|garage|workshop",
}

THINGS = {
    "light": "ceiling light:in|floor lamp:sit|desk lamp:work|table lamp:sit|bedside lamp:sleep|reading lamp:sit|"
    "chandelier:sit|light strip:in|spotlights:in|wall light:in|pendant light:cook|fairy lights:in|night light:sleep|"
    "vanity light:wet|lantern:out|lava lamp:sleep|string lights:out|cabinet light:cook|mirror light:wet|"
    "path lights:out|"
    "sconce:sit|flood light:out|corner lamp:sit|picture light:in",
    "switch": "coffee machine:cook|kettle:cook|toaster:cook|christmas tree:sit|aquarium pump:sit|sprinkler:out|"
    "dehumidifier:low|air purifier:sleep|space heater:in|printer:work|3D printer:work|pool pump:out|"
    "phone charger:sleep|"
    "electric blanket:sleep|rice cooker:cook|slow cooker:cook|fountain:out|router:work|towel warmer:wet|"
    "massage chair:sit|treadmill:in|bread maker:cook|power strip:work|soldering iron:low|bug zapper:out|"
    "humidifier:sleep",
    "fan": "ceiling fan:in|tower fan:in|desk fan:work|extractor fan:wet|window fan:sleep|box fan:low|"
    "pedestal fan:sit|exhaust fan:wet|range hood:cook",
    "cover": "left curtain:in|right curtain:in|roller blind:in|venetian blind:work|blackout curtain:sleep|"
    "bay window blind:sit|roller shutter:in|awning:out|skylight blind:in|garage door:garage|roman shade:sleep|"
    "velvet curtain:sit|projector screen:sit|main gate:drive|sun shade:out",
    "lock": "front door:entry|back door:entry|side door:entry|cellar door:low|terrace door:out|gun safe:low|"
    "tool cabinet:low|bike shed:out|medicine cabinet:wet|french door:sit|liquor cabinet:sit",
    "valve": "water valve:low|irrigation valve:out|gas valve:wet|shower valve:wet|drip valve:out|radiator valve:in|"
    "pond valve:out",
    "climate": "thermostat:in|air conditioner:sleep|heat pump:low|radiator:in|floor heating:wet|split unit:work|"
    "portable AC:in|baseboard heater:sleep",
    "media_player": "TV:sit|speaker:in|stereo:sit|soundbar:sit|radio:cook|record player:sit|projector:sit|"
    "smart display:cook|jukebox:in|CD player:in",
    "vacuum": "robot vacuum:in|mop robot:wet",
    "lawn_mower": "robot mower:out",
    "binary_sensor": "mailbox:out|fridge:cook|freezer:low|bay window:sit|roof window:in|dryer:wet|dishwasher:cook|"
    "letter slot:entry|oven:cook|wardrobe:sleep",
    "detector": "smoke alarm:in|leak sensor:wet|motion sensor:in|glass break sensor:sit|gas detector:cook|"
    "pressure mat:entry",
    "sensor": "outside temperature:out|power meter:low|water meter:low|phone battery:sleep|air quality:in|humidity:wet|"
    "solar output:low|energy usage:low|wind speed:out|soil moisture:out|UV index:out|rain gauge:out|noise level:in|"
    "carbon dioxide level:in",
    "input_boolean": "guest mode:|vacation mode:|party mode:|sleep mode:|away mode:|do not disturb:|child lock mode:|"
    "night mode:|eco mode:|cleaning mode:",
    "scene": "movie time:|romantic dinner:|reading time:|relax:|focus time:|sunset:|breakfast:|candlelight:|"
    "game night:|"
    "rainy day:|spring morning:|northern lights:|cozy evening:|bright day:|yoga:",
    "script": "goodnight routine:|leaving home:|morning briefing:|wake up routine:|holiday show:|feed the fish:|"
    "lock up:|bath time:|homework routine:|fire drill:|arrival routine:",
    "button": "doorbell:|restart router:|panic:|garage remote:|water heater boost:|identify hub:|reset filter:|"
    "elevator call:",
    "todo": "to do:|groceries:|chores:|work:|birthday:|camping:|packing:|weekend:|party:|homework:|repairs:|books:",
    "weather": "London:|Berlin:|New York:|Tokyo:|Paris:|Sydney:|Amsterdam:|Chicago:|Oslo:|Rome:|Toronto:|Madrid:|"
    "Vienna:|Seoul:|Lisbon:|Denver:|Prague:|Dublin:",
    "person": "Anna:|Ben:|Carla:|David:|Emma:|Felix:|Grace:|Hugo:|Ivy:|Jack:|Kira:|Leo:|Mia:|Noah:|Olivia:|Paul:|"
    "Rosa:|Sam:|Tina:|Victor:",
}
"""domain -> things and the kind of room (`ROOMS`) they stand in; none: they stand nowhere"""

NUM_VARIANTS = {
    "light": 3, "switch": 2, "fan": 4, "cover": 2, "lock": 1, "valve": 2, "climate": 3, "media_player": 3,
    "vacuum": 3, "lawn_mower": 3, "binary_sensor": 1, "detector": 2,
}  # fmt: skip
"""how many more of each thing the home has, told apart by a word in front"""

MARKS = "left|right|big|small|old|new|blue|spare|Anna's|Ben's|Carla's|Emma's|Hugo's|Mia's|Paul's|Rosa's|Tina's|second"

NICKNAMES = {
    "": "Sparky|the dragon|Big Bertha|Gizmo|Old Faithful|the beast|Pixel|Captain Hook|Marvin|the sentinel|Nimbus|Ziggy|"
    "the wizard|Bubbles|Tornado|Moby|the oracle|Waldo|Rumble|Princess|the gremlin|Jarvis|Snowball|Hercules|Fluffy|"
    "the phoenix|Bandit|Cosmo|Duchess|the monster|Elvis|Frodo|Goliath|the jester|Huckleberry|Igor|Kermit|the kraken|"
    "Loki|Merlin|the ninja|Neptune|Odin|the pirate|Popeye|Quasimodo|Rocky|the rascal|Samson|Sherlock|the sphinx|"
    "Thumper|Titan|the troll|Ulysses|Vader|the viking|Wally|Yoda|Zeus|the duke|Tinker Bell|Mister Blue|Gandalf|"
    "the goblin|Pinky|Bruno|Matilda|Sir Hums|the colonel|Biscuit|Pepper|Oscar|the moose|Blinky|Rufus",
    "area": "the lair:basement|HQ:office|the bat cave:garage|the jungle:greenhouse|the nest:nursery|the palace:"
    "master bedroom|the dungeon:wine cellar|the den:living room|the lab:workshop|the crow's nest:attic|"
    "the spa:bathroom|"
    "the zoo:playroom|the mess hall:kitchen|the lookout:balcony|the quiet zone:library|the iron temple:gym",
}
"""what the family calls a device (any device) or a room (that room)"""

TEXTS = {
    "message": "dinner is ready|it's time for bed|the car leaves in ten minutes|please come downstairs|the pizza has "
    "arrived|the movie starts soon|the laundry is done|grandma is here|lunch is on the table|the taxi is waiting|"
    "wake up everyone|keep the noise down|breakfast is served|the guests are here|shoes off in the house|"
    "the bus comes at eight|someone is at the door|the game is on|bath time in five minutes|school is cancelled today",
    "timer_name": "pizza|pasta|eggs|tea|cookies|nap|workout|oven|bread|rice|chicken|meditation|steak|parking|homework|"
    "laundry|dishes|roast|potatoes|lasagna|yoga|soup|coffee|cake|bath|broccoli|reading|sauna",
    "timer_command": "turn off the lights|open the garage door|turn on the heater|lock the front door|close the blinds|"
    "turn off the TV|turn on the coffee machine|turn off the fan|switch off the oven|turn on the porch light|"
    "stop the sprinkler|unlock the back door|turn off the electric blanket|lower the shades",
    "todo_list_item": "call the dentist|clean the gutters|buy a birthday card|pay the electricity bill|"
    "water the plants|renew my passport|finish the report|pick up the dry cleaning|return library books|"
    "change the air filter|email the landlord|wash the car|fix the leaky tap|pack the tent|plan the menu|"
    "schedule a haircut|update the calendar|bake a cake|charge the camera|sharpen the knives",
    "shopping_list_item": "milk|bread|eggs|apples|bananas|coffee|tea bags|toilet paper|dish soap|batteries|"
    "chicken breast|"
    "cheddar cheese|tomatoes|olive oil|dog food|cat litter|orange juice|frozen peas|pasta|rice|laundry detergent|"
    "light bulbs|paper towels|yogurt|salmon|oat milk|garlic|two avocados|a dozen eggs|sparkling water|peanut butter|"
    "birthday candles|shampoo|toothpaste|honey|basil|three lemons|dark chocolate",
    "search_query": "the Beatles|Bohemian Rhapsody|Kind of Blue|Taylor Swift|Daft Punk|Clair de Lune|Miles Davis|"
    "Abbey Road|Nina Simone|some jazz|Hotel California|Adele|Radiohead|Fleetwood Mac|Rumours|Hamilton|Johnny Cash|"
    "Billie Eilish|Norah Jones|Blade Runner|Bach|Vivaldi|Purple Rain|The Wall|Ella Fitzgerald|Coldplay",
    "zone": "home|work|school|the gym|the office|the airport|the park|the library|church|the beach",
    "color": "white|red|orange|yellow|green|blue|purple|pink|turquoise|magenta|gold|lavender|cyan|teal|coral",
    "fan_mode": "auto|low|medium|high|focus|diffuse|top|middle",
}
"""list of the grammar -> what may stand there; the label is the text itself"""

VALUES: dict[str, dict[str, str | int]] = {
    "color_temperature_names": {"candle light": 1900, "warm white": 2700, "cool white": 4000, "daylight": 6500},
    "brightness_level": {"maximum": 100, "max": 100, "highest": 100, "minimum": 1, "lowest": 1},
    "on_off_states": {"on": "on", "off": "off"},
    "lock_states": {"locked": "locked", "unlocked": "unlocked"},
    "cover_states": {"open": "open", "closed": "closed", "shut": "closed"},
    "bs_open_states": {"open": "open", "closed": "closed", "shut": "closed"},
    "bs_occupancy_states": {"triggered": "triggered", "clear": "clear"},
    "cover_classes": {
        "awnings": "awning", "blinds": "blind", "curtains": "curtain", "shades": "shade", "shutters": "shutter",
    },
    "timer_half": {"half": 30},
    "volume_step": {"up": "up", "down": "down"},
    "media_class": {
        "artist": "artist", "album": "album", "song": "track", "track": "track", "playlist": "playlist",
        "podcast": "podcast", "movie": "movie", "show": "tv_show",
    },
}  # fmt: skip
"""list of the grammar -> spoken form -> label"""
