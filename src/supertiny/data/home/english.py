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
