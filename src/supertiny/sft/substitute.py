"""The same queries and functions in other words, so that nothing but the list says which function is meant.

Nouns that both a name and a text hold are replaced alike wherever they stand; the verbs of names, and names of
parameters, by synonyms, while the queries keep theirs. What a list of words does not know stays as it is.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from supertiny.core.calls import Answer, Call, Function, Parameter, Pool, Value
from supertiny.core.prompt import named, whole
from supertiny.core.records import Example


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


NOUNS = _listed(
    """
    acorn anchor antler apron badge balloon bandage banjo barrel basket beacon beetle bicycle biscuit
    blanket bonnet bottle boulder bracelet bridge bucket buckle cabbage cactus candle canoe canyon carrot castle
    cedar cello chimney clover cobweb coconut compass cookie cottage cradle crayon crown cushion dagger desert
    diamond dolphin donkey dragon easel elbow emerald engine falcon feather fiddle flute forest fossil fountain
    garnet giraffe goblet guitar hammer hammock harbor harness hazelnut helmet hornet island jacket jigsaw
    kettle kitten ladder lagoon lantern lemon lizard lobster magnet mallet mango marble meadow melon mitten
    monkey mosaic muffin mushroom napkin necklace needle nugget octagon onion orchard otter paddle palette
    panther parrot peanut pebble pelican pencil pepper pillow pigeon pistachio planet plum pocket pretzel
    pumpkin puppet pyramid rabbit raccoon radish ribbon riddle rocket saddle sailor salmon sandal saucer scarf
    shovel skeleton sledge spider spoon squirrel statue stencil sweater tadpole teapot temple thimble thistle
    tractor trumpet tulip turtle umbrella unicorn violin volcano waffle wagon walnut walrus whistle willow zebra
    zeppelin
    """
)
"""what stands for a replaced noun: plain things, whose plural has an s"""
VERBS: dict[str, tuple[str, ...]] = {
    "turn on": ("switch on", "activate", "enable", "power up"),
    "turn off": ("switch off", "deactivate", "disable", "power down"),
    "set": ("adjust", "assign", "configure"),
    "get": ("fetch", "retrieve", "obtain", "inspect"),
    "open": ("unseal", "uncover"),
    "close": ("shut", "seal"),
    "start": ("begin", "launch", "initiate"),
    "stop": ("halt", "end", "terminate"),
    "add": ("append", "insert", "include"),
    "remove": ("delete", "erase", "take out"),
    "play": ("perform", "put on"),
    "pause": ("suspend", "hold"),
    "resume": ("continue", "carry on"),
    "lock": ("secure", "bolt"),
    "unlock": ("unbolt", "unfasten"),
    "run": ("execute", "carry out"),
    "press": ("push", "click"),
    "locate": ("find", "spot"),
    "cancel": ("abort", "revoke"),
    "increase": ("raise", "extend", "step up"),
    "decrease": ("lower", "reduce", "cut down"),
    "change": ("modify", "alter", "vary"),
    "broadcast": ("announce", "proclaim"),
    "mute": ("silence", "hush"),
    "unmute": ("unsilence", "unhush"),
    "dock": ("park", "berth"),
    "complete": ("finish", "accomplish"),
    "create": ("make", "generate"),
    "update": ("refresh", "revise"),
    "list": ("enumerate", "itemize"),
    "show": ("display", "present"),
    "search": ("look for", "seek"),
    "send": ("transmit", "dispatch"),
    "book": ("reserve", "arrange"),
    "order": ("request", "buy"),
    "call": ("phone", "ring"),
    "read": ("recite", "view"),
    "write": ("compose", "note down"),
    "check": ("verify", "examine"),
    "ask": ("query", "inquire"),
    "tell": ("report", "state"),
    "convert": ("translate", "transform"),
    "calculate": ("compute", "work out"),
    "count": ("tally", "number"),
    "choose": ("pick", "select"),
    "move": ("shift", "transfer"),
    "skip": ("jump over", "leave out"),
    "save": ("store", "keep"),
    "share": ("publish", "distribute"),
    "snooze": ("postpone", "defer"),
    "repeat": ("say again", "redo"),
    "roll": ("throw", "toss"),
}
"""what a name may begin with -> what is said in its place; no synonym is another verb's, or begins another one"""
PARAMETERS: dict[str, tuple[str, ...]] = {
    "area": ("zone", "place", "location"),
    "room": ("chamber", "space"),
    "floor": ("storey", "deck"),
    "name": ("target", "label", "title", "object"),
    "item": ("entry", "element", "thing"),
    "state": ("condition", "situation"),
    "brightness": ("intensity", "luminosity"),
    "color": ("hue", "tint"),
    "colour": ("shade", "tone"),
    "color_temperature": ("warmth", "kelvin"),
    "temperature": ("degrees", "heat"),
    "percentage": ("percent", "portion"),
    "position": ("extent", "setting"),
    "device_class": ("category", "kind_of_device"),
    "hours": ("num_hours", "hour_count"),
    "minutes": ("num_minutes", "minute_count"),
    "seconds": ("num_seconds", "second_count"),
    "start_hours": ("initial_hours", "original_hours"),
    "start_minutes": ("initial_minutes", "original_minutes"),
    "start_seconds": ("initial_seconds", "original_seconds"),
    "command": ("instruction", "directive"),
    "message": ("announcement", "body"),
    "text": ("content", "wording"),
    "search_query": ("looked_for", "search_terms"),
    "query": ("wanted", "question"),
    "media_class": ("media_kind", "media_genre"),
    "volume_level": ("loudness", "sound_level"),
    "volume_step": ("loudness_change", "sound_step"),
    "date": ("day", "calendar_day"),
    "time": ("moment", "clock_time"),
    "duration": ("length", "span"),
    "amount": ("quantity", "how_many"),
    "number": ("value", "figure"),
    "city": ("town", "municipality"),
    "country": ("nation", "land"),
    "person": ("individual", "human"),
    "language": ("tongue", "idiom"),
    "unit": ("measure", "scale"),
}
"""a parameter's whole name -> what is said in its place"""
SMALL = frozenset(
    _listed(
        """
    a all an and any are as at back be by current day down each every first for from has have her his how in
    into is it its last many me mind more most much my never new next no not now of off old on one only or other
    our out over own per previous some than that the their them then there these they this those to under until
    up was we what when where which who will with you your
        """
    )
)
"""words of names that name no thing"""
VERB_WORDS = frozenset(word for verb, others in VERBS.items() for text in (verb, *others) for word in text.split())
MIN_LETTERS = 3
"""of a noun: shorter ones stand in too many other words"""
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Substitution:
    """What is said for what; no two words become one, so that it can be turned back."""

    nouns: Mapping[str, str]
    """in every form: singular, plural, with a capital, in capitals"""
    names: Mapping[str, str]
    """of functions"""
    parameters: Mapping[str, Mapping[str, str]]
    """of each function by its name before"""

    def text(self, text: str) -> str:
        """`text` with the nouns replaced.

        >>> Substitution({"light": "plum", "lights": "plums"}, {}, {}).text("the lights, not the light switch")
        'the plums, not the plum switch'
        """
        return whole(tuple(self.nouns), text.isascii()).sub(lambda found: self.nouns[found[0]], text)

    def function(self, function: Function) -> Function:
        """Its document in these words; the values of an enum are what they are."""
        names = self.parameters[function.name]
        parameters = {names[name]: self._parameter(one) for name, one in function.parameters.items()}
        return replace(
            function,
            name=self.names[function.name],
            description=self.text(function.description),
            parameters=parameters,
        )

    def example(self, example: Example, pool: Pool) -> Example:
        """All that it shows and all that it answers; `pool` has the functions by the names they had before."""
        return replace(
            example,
            query=self.text(example.query),
            context={key: self.text(value) for key, value in example.context.items()},
            knowledge=tuple(map(self.text, example.knowledge)),
            history=tuple(
                replace(turn, query=self.text(turn.query), answer=self._answer(turn.answer, pool))
                for turn in example.history
            ),
            candidates=tuple(self.names[name] for name in example.candidates),
            answers=tuple(self._answer(answer, pool) for answer in example.answers),
        )

    def _parameter(self, parameter: Parameter) -> Parameter:
        items = self._parameter(parameter.items) if parameter.items else None
        return replace(parameter, description=self.text(parameter.description), items=items)

    def _answer(self, answer: Answer, pool: Pool) -> Answer:
        if not isinstance(answer, Call):
            return answer
        names, parameters = self.parameters[answer.name], pool[answer.name].parameters
        arguments = {names[name]: self._value(value, parameters[name]) for name, value in answer.arguments.items()}
        return Call(self.names[answer.name], arguments)

    def _value(self, value: Value, parameter: Parameter) -> Value:
        if parameter.enum or (parameter.items and parameter.items.enum):
            return value
        if isinstance(value, list):
            return [self.text(one) if isinstance(one, str) else one for one in value]
        return self.text(value) if isinstance(value, str) else value


def substituted(examples: Sequence[Example], pool: Pool, rng: Random) -> tuple[tuple[Example, ...], Pool]:
    """`examples`, which share their candidates, in other words, and `pool` with the functions that these words name.

    >>> pool = {"turn_on_light": Function("turn_on_light", "Turns on a light", {"area": Parameter("string")})}
    >>> asked = Example(id="1", query="Lights on", candidates=("turn_on_light",), answers=(Call("turn_on_light"),))
    >>> (found,), functions = substituted([asked], pool, Random(3))
    >>> found.query, found.answers[0].name, functions[found.answers[0].name].description
    ('Giraffes on', 'activate_giraffe', 'Turns on a giraffe')
    """
    how = substitution(examples, pool, rng)
    functions = [how.function(pool[name]) for name in how.names]
    found = tuple(how.example(example, pool) for example in examples)
    return found, {**pool, **{function.name: function for function in functions}}


def substitution(examples: Sequence[Example], pool: Pool, rng: Random) -> Substitution:
    """Words for `examples` that none of their texts and no name of `pool` holds."""
    calls = [answer for example in examples for answer in _answers(example) if isinstance(answer, Call)]
    offered = [name for example in examples for name in example.candidates]
    functions = [pool[name] for name in dict.fromkeys([*offered, *(call.name for call in calls)])]
    texts = [text for example in examples for text in _texts(example)]
    found = _nouns(functions, examples, texts, pool)
    fresh = _fresh([*texts, *map(_document, functions), *pool])
    nouns = dict(zip(found, rng.sample(fresh, min(len(found), len(fresh))), strict=False))
    nouns = _sound(nouns, examples, pool)
    verbs, forms = _verbs(functions, pool, rng), _forms(nouns)
    names: dict[str, str] = {}
    for one in functions:
        name = _renamed(one.name, verbs, forms)
        names[one.name] = _renamed(one.name, {}, forms) if name in names.values() else name
    return Substitution(forms, names, _parameters(functions, forms, rng))


def _answers(example: Example) -> Iterator[Answer]:
    yield from example.answers
    yield from (turn.answer for turn in example.history)


def _texts(example: Example) -> Iterator[str]:
    """All that a query brings, and the strings of its answers."""
    yield from _shown(example)
    for answer in example.answers:
        yield from _strings(answer)


def _shown(example: Example) -> Iterator[str]:
    """What an answer may copy from."""
    yield from (example.query, *example.knowledge, *example.context.values())
    for turn in example.history:
        yield turn.query
        yield from _strings(turn.answer)


def _strings(answer: Answer) -> Iterator[str]:
    for value in answer.arguments.values() if isinstance(answer, Call) else ():
        yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def _document(function: Function) -> str:
    return " ".join([function.description, *function.parameters, *_enums(function), *_notes(function)])


def _notes(function: Function) -> Iterator[str]:
    for parameter in function.parameters.values():
        yield parameter.description
        yield from [parameter.items.description] if parameter.items else []


def _enums(function: Function) -> Iterator[str]:
    for parameter in function.parameters.values():
        values: Iterable[Any] = (*parameter.enum, *(parameter.items.enum if parameter.items else ()))
        yield from (value for value in values if isinstance(value, str))


def _nouns(functions: Sequence[Function], examples: Sequence[Example], texts: Sequence[str], pool: Pool) -> list[str]:
    """In the singular: words of the names that stand in the texts, and there as whole words alone.

    None that a value of an enum or a key of the context says too: those stay, and the query must go on to say them. And
    none that a query means without saying it.
    """
    words = [word for one in functions for word in _words(one.name)[_verb_length(one.name) :]]
    known = {_singular(word) for word in words if word not in SMALL | VERB_WORDS and len(word) >= MIN_LETTERS}
    staying = [*(text for one in functions for text in _enums(one)), *(key for row in examples for key in row.context)]
    known -= {_singular(word) for text in staying for word in _words(text)} | VERB_WORDS | SMALL
    forms = {form: noun for noun in sorted(known) for form in _forms({noun: noun})}
    stand = Counter[str]()
    for text in texts:
        found, low = Counter(forms[form] for form in named(text, forms)), text.lower()
        stand += found
        # a longer word that holds one ("lighting") would go on to name what nothing is called any more
        known -= {noun for noun in known if low.count(_stem(noun)) != found[noun]}
    known = {noun for noun in known if stand[noun]}
    said = [{forms[form] for text in _shown(row) for form in named(text, forms)} for row in examples]
    while unsaid := {noun for row, here in zip(examples, said, strict=True) for noun in _unsaid(row, here, known)}:
        known -= unsaid
    return sorted(known)


def _unsaid(example: Example, said: set[str], nouns: set[str]) -> set[str]:
    """Those of `nouns` in the name of the function that is right, where the query says none of them.

    "Is it dark in here?" means a light all the same, and could not mean a plum.
    """
    answer = example.answers[0]
    if not isinstance(answer, Call):
        return set()
    named_by = {_singular(word) for word in _words(answer.name)[_verb_length(answer.name) :]} & nouns
    return set() if named_by & said else named_by


def _sound(nouns: dict[str, str], examples: Sequence[Example], pool: Pool) -> dict[str, str]:
    """Those of `nouns` under which every value that an answer copies can be copied still."""
    while True:
        forms = _forms(nouns)
        how = Substitution(forms, _Same(), _SameEach())
        wrong = [
            text
            for before in examples
            for text in _lost(before, how.example(before, pool), list(_shown(before)))
            if named(text, forms)
        ]
        if not wrong:
            return nouns
        lost = {form.lower() for text in wrong for form in named(text, forms)}
        nouns = {noun: other for noun, other in nouns.items() if not {noun, _plural(noun)} & lost}


def _lost(before: Example, after: Example, shown: Sequence[str]) -> Iterator[str]:
    """The texts that held a value of an answer and do not any more, and the values."""
    now = list(_shown(after))
    for one, other in zip(before.answers, after.answers, strict=True):
        for value, changed in zip(_strings(one), _strings(other), strict=True):
            for text, then in zip(shown, now, strict=True):
                if value in text and changed not in then:
                    yield from (text, value)


class _Same(dict[str, str]):
    """Every name for itself."""

    def __missing__(self, key: str) -> str:
        return key


class _SameEach(dict[str, Mapping[str, str]]):
    """The same for the parameters of every function."""

    def __missing__(self, key: str) -> Mapping[str, str]:
        return _Same()


def _fresh(said: Iterable[str]) -> list[str]:
    text = "\n".join(said).lower()
    return [noun for noun in NOUNS if noun not in text]


def _verbs(functions: Sequence[Function], pool: Pool, rng: Random) -> dict[str, str]:
    """A synonym for each verb, with which no name of the pool begins: so no new name is one that is there."""
    begun = {" ".join(words[:count]) for words in map(_words, pool) for count in (1, 2, 3)}
    found = {}
    for verb in sorted({_verb(one.name) for one in functions} - {""}):
        free = [other for other in VERBS[verb] if other not in begun]
        if free:
            found[verb] = rng.choice(free)
    return found


def _parameters(functions: Sequence[Function], forms: Mapping[str, str], rng: Random) -> dict[str, dict[str, str]]:
    """For each function; a parameter goes by one name in all of them, but where that is taken it keeps its own."""
    there = sorted({name for one in functions for name in one.parameters})
    chosen = {name: rng.choice(PARAMETERS[name]) for name in there if name in PARAMETERS}
    found: dict[str, dict[str, str]] = {}
    for one in functions:
        names = found[one.name] = {}
        for name in one.parameters:
            other = chosen.get(name) or "".join(_noun(piece, forms) for piece in _PIECE.findall(name))
            names[name] = name if other in one.parameters or other in names.values() else other
    return found


def _renamed(name: str, verbs: Mapping[str, str], forms: Mapping[str, str]) -> str:
    """The name with its verb and its nouns replaced, written as it was.

    >>> [_renamed(name, {"turn on": "power up"}, {"fan": "plum"}) for name in ("turn_on_fan", "turnOnFan", "fan-on")]
    ['power_up_plum', 'powerUpPlum', 'plum-on']
    """
    pieces = _PIECE.findall(name)
    places = [at for at, piece in enumerate(pieces) if piece[0].isalpha() and piece.isascii()]
    verb = verbs.get(_verb(name))
    if verb is None:
        return "".join(_noun(piece, forms) for piece in pieces)
    first, last = places[0], places[_verb_length(name) - 1]
    between = "".join(pieces[first + 1 : places[1]])[:1] if len(places) > 1 else "_"
    head, *rest = verb.split()
    said = [_like(pieces[first], head), *(_like(pieces[first], one) if between else one.title() for one in rest)]
    return "".join([*pieces[:first], between.join(said), *(_noun(piece, forms) for piece in pieces[last + 1 :])])


def _noun(piece: str, forms: Mapping[str, str]) -> str:
    other = forms.get(piece.lower())
    return _like(piece, other) if other else piece


def _like(model: str, word: str) -> str:
    """`word` in capitals where `model` is."""
    if model.isupper() and len(model) > 1:
        return word.upper()
    return word.title() if model[0].isupper() else word


def _verb(name: str) -> str:
    return " ".join(_words(name)[: _verb_length(name)])


def _verb_length(name: str) -> int:
    words = _words(name)
    return next((count for count in (2, 1) if " ".join(words[:count]) in VERBS and len(words) >= count), 0)


def _words(text: str) -> list[str]:
    """Its words in Latin letters, in lower case."""
    return [piece.lower() for piece in _PIECE.findall(text) if piece[0].isalpha() and piece.isascii()]


def _forms(nouns: Mapping[str, str]) -> dict[str, str]:
    """Every form of each, with that of its substitute."""
    styles: tuple[Callable[[str], str], ...] = (str.lower, str.title, str.upper)
    both = [(noun, other) for noun, other in nouns.items()]
    both += [(_plural(noun), _plural(other)) for noun, other in both]
    return {style(noun): style(other) for noun, other in both for style in styles}


def _plural(noun: str) -> str:
    """As English forms it.

    >>> [_plural(noun) for noun in ("light", "switch", "battery", "key")]
    ['lights', 'switches', 'batteries', 'keys']
    """
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s"


def _stem(noun: str) -> str:
    """What its singular and its plural begin with."""
    return noun if _plural(noun).startswith(noun) else noun[:-1]


def _singular(word: str) -> str:
    """The noun of which `word` is the plural, or itself.

    >>> [_singular(word) for word in ("lights", "switches", "batteries", "status", "glass", "timer")]
    ['light', 'switch', 'battery', 'status', 'glass', 'timer']
    """
    for noun in (f"{word[:-3]}y", word[:-2], word[:-1]):
        if len(noun) >= MIN_LETTERS and _plural(noun) == word and not word.endswith(("ss", "us", "is")):
            return noun
    return word
