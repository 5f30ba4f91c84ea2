"""The same call written differently, as a strict reader may still take it (paper 4.1: "11:00 pm" is 23:00).

Only what truly means the same: case, an article the query itself says, numbers in words and in digits, a time on
the other clock, "60%" as "60 percent", 20 as 20.0, arguments in another order, spaces between JSON tokens.
"""

import json
import re
from collections.abc import Iterator
from random import Random
from string import capwords

from supertiny.core.calls import Call, Function, Parameter, Value, answer_json, answer_text
from supertiny.judge.numerals import ORDINALS, SMALL, TENS

TWO_WORDS = {f"{tens}-{one}": a + b for tens, a in TENS.items() for one, b in SMALL.items() if 0 < b < 10}
DIGITS_OF = SMALL | TENS | TWO_WORDS
WORDS_OF = {str(number): word for word, number in DIGITS_OF.items()}
"""0 to 99"""
ARTICLES = ("a", "an", "the", "my")
_CLOCK_12 = re.compile(r"(1[0-2]|[1-9]):([0-5]\d) ([ap])\.?m\.?", re.IGNORECASE)
_CLOCK_24 = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def rewordings(call: Call, function: Function, query: str, rng: Random) -> list[str]:
    """Replies that say `call` in other words, each differing from it in one place, in random order."""
    said = [
        answer_text(Call(call.name, call.arguments | {name: other}))
        for name, value in call.arguments.items()
        for other in writings(value, function.parameters[name], query)
    ]
    turned = Call(call.name, dict(reversed(call.arguments.items())))
    said += [answer_text(turned)] if len(call.arguments) > 1 else []
    said += [json.dumps(answer_json(call), ensure_ascii=False)]
    rng.shuffle(said)
    return said


def writings(value: Value, parameter: Parameter, query: str) -> list[Value]:
    """Other ways to write one argument that its schema allows.

    >>> writings("lamp 2", Parameter("string"), "light up the lamp 2")
    ['LAMP 2', 'Lamp 2', 'the lamp 2', 'lamp two']
    >>> writings("23:00", Parameter("string"), ""), writings(20, Parameter("integer"), "")
    (['11:00 pm'], [20.0])
    """
    if parameter.enum or isinstance(value, bool | list):
        return []
    if isinstance(value, str):
        return [other for other in dict.fromkeys(_texts(value, query)) if other != value]
    return [float(value)] if isinstance(value, int) else []


def _texts(value: str, query: str) -> Iterator[str]:
    yield value.upper()
    yield capwords(value)
    if value.strip() and f"the {value.lower()}" in query.lower() and value.split()[0].lower() not in ARTICLES:
        yield f"the {value}"
    numbers = [word for word in value.split() if word in DIGITS_OF or word in ORDINALS or any(map(str.isdigit, word))]
    if len(numbers) == 1:  # several in a row may be read as one: "two 50"
        other = WORDS_OF.get(numbers[0]) or str(DIGITS_OF.get(numbers[0], numbers[0]))
        yield " ".join(other if word == numbers[0] else word for word in value.split())
    yield re.sub(r"(?<=\d) ?%", " percent", value)
    if found := _CLOCK_24.fullmatch(value):
        hour = int(found[1])
        yield f"{hour % 12 or 12}:{found[2]} {'pm' if hour >= 12 else 'am'}"
    if found := _CLOCK_12.fullmatch(value):
        yield f"{int(found[1]) % 12 + (12 if found[3] in 'pP' else 0):02d}:{found[2]}"
