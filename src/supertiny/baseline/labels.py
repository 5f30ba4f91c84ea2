"""What the encoders are taught: a domain or a refusal; an intent with a tag for every token.

Tags are BIO over slots (`B-area`, `I-area`, `O`) and may fall on any part of the text, so that a room of the context or
a value of an earlier turn is a slot like any other. A value that the text nowhere says ("any lights" does not say
which `device_class`) is part of the intent's label, as traditional schemas have an intent for each such case.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from supertiny.baseline.frames import domain_of, to_frame, to_slot
from supertiny.core.calls import Answer, Call, Parameter, Pool, Refusal, Scalar, Value, answer_text
from supertiny.core.prompt import LONE, SEPARATOR, parts, spaced
from supertiny.core.records import OUT_OF_SCOPE, Example
from supertiny.judge.meaning import SMALL, TENS, Quantity, normalise, same
from supertiny.model.encoder import MAX_TOKENS, NONE, Labelled, as_read

_WORD = re.compile(rf"[{LONE}](?:[{LONE}](?<!\w))*|(?:[^\W{LONE}]|['\u2019])+(?:[.:-][^\W{LONE}]+)*|[%°]")

Span = tuple[int, int]
"""first character, and the one after the last"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A text and its parts in the order in which a value is looked for: query, knowledge, context, dialogue."""

    text: str
    parts: tuple[Span, ...]

    def words(self) -> list[list[Span]]:
        """The words of each part."""
        return [[found.span() for found in _WORD.finditer(self.text, *part)] for part in self.parts]


def read(example: Example, pool: Pool, history_turns: int) -> Reading:
    """The parts of the dialogue, earlier answers as their frames in words.

    >>> read(Example(id="1", query="lights on", context={"room": "hall"}, knowledge=("Bo: a lamp",)), {}, 1).text
    'lights on | room: hall | Bo: a lamp'
    """
    said = parts(example, history_turns, lambda answer: _in_words(answer, pool))
    spans: dict[str, Span] = {}
    text = ""
    for name in ("query", "context", "knowledge", "earlier"):
        part = getattr(said, name)
        text += SEPARATOR if text and part else ""
        spans[name] = (len(text), len(text) + len(part))
        text += part
    return Reading(text, tuple(spans[name] for name in ("query", "knowledge", "context", "earlier")))


def _in_words(answer: Answer, pool: Pool) -> str:
    frame = to_frame(answer, pool)
    return ", ".join([frame.intent, *(f"{name} {text}" for name, text in frame.slots.items())]).replace("_", " ")


MAX_WORDS = 12
"""words of the longest value that is looked for as it is written"""
MAX_NUMERAL_WORDS = 4
"""words of the longest number in words"""
_NUMERALS = {*SMALL, *TENS, "hundred", "minus", "negative"}

Said = list[tuple[str, Span]]
"""parameters with the characters that say their values"""


def align(call: Call, reading: Reading) -> tuple[Said, dict[str, Value]]:
    """Where the text says each argument, and the arguments that it nowhere says; no two of them share a word.

    Longer values first, so that "kitchen light" is not cut by "kitchen"; a list is said where all of its items are.
    """
    words = reading.words()
    said: Said = []
    unsaid: dict[str, Value] = {}
    for name, value in sorted(call.arguments.items(), key=lambda item: (-len(str(item[1])), item[0])):
        spans: list[Span] = []
        for item in value if isinstance(value, list) else [value]:
            found = _find(item, reading.text, words, [span for _, span in said] + spans)
            if found is None:
                break
            spans.append(found)
        else:
            said += [(name, span) for span in spans]
            if spans:
                continue
        unsaid[name] = value
    return sorted(said, key=lambda one: one[1]), unsaid


def value_of(texts: list[str], parameter: Parameter) -> str | None:
    """The slot for what the tagged words say, by the parameter's schema; None where they say nothing it can hold.

    >>> value_of(["fifty"], Parameter("integer")), value_of(["locked"], Parameter("string", enum=("LOCKED", "OPEN")))
    ('50', 'LOCKED')
    >>> value_of(["a lot"], Parameter("number")) is None, value_of(["milk", "rye"], Parameter("array"))
    (True, 'milk|rye')
    """
    if parameter.type == "array":
        items = [value_of([text], parameter.items) for text in texts] if parameter.items else texts
        said = [item for item in items if item is not None]
        return to_slot(list(said), "array") if said or not texts else None
    text = texts[0]
    choices: Iterable[Scalar] = (True, False) if parameter.type == "boolean" else parameter.enum
    if parameter.type == "boolean" or parameter.enum:
        return next((to_slot(choice, parameter.type) for choice in choices if same(choice, text)), None)
    if parameter.type == "string":
        return text
    meaning = normalise(text)
    if not isinstance(meaning, Quantity):
        return None
    whole = meaning.number.denominator == 1
    if parameter.type == "integer" and not whole:
        return None
    return to_slot(int(meaning.number) if whole else float(meaning.number), parameter.type)


def _find(value: Scalar, text: str, parts: list[list[Span]], taken: list[Span]) -> Span | None:
    """The first part that says `value`, as written if it can be, in other words if not; there, the fewest words."""
    for words in parts:
        free = [span for span in words if not any(start < span[1] and span[0] < end for start, end in taken)]
        for matches, sizes in ((_written, _sizes_as_written(value)), (_meant, _sizes_as_meant(value))):
            for size in sizes:
                for at in range(len(free) - size + 1):
                    span = (free[at][0], free[at + size - 1][1])
                    if matches(value, text[slice(*span)]):
                        return span
    return None


def _sizes_as_written(value: Scalar) -> range:
    size = len(spaced(str(value)).split())
    most = MAX_WORDS if spaced(str(value)) == str(value) else max(MAX_WORDS, size)  # of single letters there are more
    return range(size, min(2 * size, most) + 1)  # "3D-printer" may be one word or three


def _sizes_as_meant(value: Scalar) -> range:
    if isinstance(value, str):
        size = len(spaced(value).split())
        return range(max(1, size - 1), min(size + 1, MAX_WORDS) + 1)
    return range(1, MAX_NUMERAL_WORDS + 1)


def _written(value: Scalar, text: str) -> bool:
    return not isinstance(value, bool) and text.casefold() == str(value).casefold()


def _meant(value: Scalar, text: str) -> bool:
    first = text.split()[0].casefold() if text else ""
    numeral = first in _NUMERALS or first[:1].isdigit() or first.split("-")[0] in TENS
    return (isinstance(value, str) or numeral) and _same(value, text)


_same = lru_cache(maxsize=1 << 18, typed=True)(same)


OUTSIDE = "O"


@dataclass(frozen=True, slots=True)
class Target:
    """One example as the traditional system learns it."""

    reading: Reading
    domain: str
    """a domain, or the words of a refusal"""
    intent: str = ""
    """a call without the arguments that the text says; empty: a refusal"""
    said: tuple[tuple[str, Span], ...] = ()
    """where the text says each other argument"""


def targets(examples: Sequence[Example], pool: Pool, history_turns: int) -> list[Target]:
    """What is learned of each example's first answer.

    A query refused only because its function was not offered is left out: the traditional system knows what is
    installed and need not guess it (`answer.available`).
    """
    return [_target(e, pool, history_turns) for e in examples if not _refused_for_lack(e.answers[0], e.tags)]


def domains(pool: Pool) -> list[str]:
    """The labels of the domain classifier."""
    return sorted({domain_of(function) for function in pool.values()}) + [refusal.value for refusal in Refusal]


def intents(found: Sequence[Target], min_count: int) -> list[str]:
    """The labels of an intent head: every function seen without such values, and what was seen `min_count` times.

    An intent with values nobody says that is rarer than that is not learned.
    """
    counts = Counter(target.intent for target in found if target.intent)
    return sorted(
        intent for intent, count in counts.items() if count >= min_count or intent == answer_text(Call(name_of(intent)))
    )


def name_of(intent: str) -> str:
    """The function of an intent label."""
    return str(json.loads(intent)["name"])


def slot_tags(found: Sequence[Target]) -> list[str]:
    """The tags of every slot that some text says."""
    slots = sorted({name for target in found for name, _ in target.said})
    return [OUTSIDE, *(f"{kind}-{name}" for name in slots for kind in "BI")]


def domain_rows(found: Sequence[Target], labels: Sequence[str]) -> list[Labelled]:
    """Texts with their domains; a domain nobody trained on is never among them."""
    return [Labelled(target.reading.text, labels.index(target.domain)) for target in found]


def frame_rows(
    found: Sequence[Target], labels: Sequence[str], tags: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> list[Labelled]:
    """Texts of calls with their intents and tags; a call whose intent or slot is no label is left out."""
    known = {intent: number for number, intent in enumerate(labels)}
    number_of = {tag: number for number, tag in enumerate(tags)}
    calls = [t for t in found if t.intent in known and all(f"B-{name}" in number_of for name, _ in t.said)]
    return [
        Labelled(t.reading.text, known[t.intent], _tagged(t.reading.text, list(t.said), number_of, tokenizer))
        for t in calls
    ]


def token_spans(text: str, tokenizer: PreTrainedTokenizerBase) -> list[Span]:
    """The characters of every token of `text`; none for a special token."""
    read = as_read(tokenizer, text)  # as long as the text, which has no seam
    found = tokenizer(read, truncation=True, max_length=MAX_TOKENS, return_offsets_mapping=True)
    return [(int(start), int(end)) for start, end in found["offset_mapping"]]


def _target(example: Example, pool: Pool, history_turns: int) -> Target:
    reading, answer = read(example, pool, history_turns), example.answers[0]
    if isinstance(answer, Refusal):
        return Target(reading, answer.value)
    said, unsaid = align(answer, reading)
    intent = answer_text(Call(answer.name, dict(sorted(unsaid.items()))))
    return Target(reading, domain_of(pool[answer.name]), intent, tuple(said))


def _refused_for_lack(answer: Answer, tags: Sequence[str]) -> bool:
    return answer is Refusal.NO_FUNCTION and OUT_OF_SCOPE not in tags


def _tagged(text: str, said: Said, number_of: dict[str, int], tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    numbers = []
    for start, end in token_spans(text, tokenizer):
        inside = [(name, span) for name, span in said if span[0] < end and start < span[1]]
        if start == end:
            numbers.append(NONE)
        elif not inside:
            numbers.append(number_of[OUTSIDE])
        else:
            name, span = inside[0]
            numbers.append(number_of[f"{'B' if start <= span[0] else 'I'}-{name}"])
    return tuple(numbers)
