"""What the encoders are taught: a domain or a refusal; an intent with a tag for every token.

Tags are BIO over slots (`B-area`, `I-area`, `O`) and may fall on any part of the text, so that a room of the context or
a value of an earlier turn is a slot like any other. A value that the text nowhere says ("any lights" does not say
which `device_class`) is part of the intent's label, as traditional schemas have an intent for each such case.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from supertiny.adapter.frames import domain_of
from supertiny.baseline.reading import Reading, Span, read
from supertiny.baseline.values import Said, align
from supertiny.core.calls import Answer, Call, Pool, Refusal, answer_text
from supertiny.core.records import Example
from supertiny.model.encode import MAX_TOKENS
from supertiny.model.heads import NONE, Labelled

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
    found = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_offsets_mapping=True)
    return [(int(start), int(end)) for start, end in found["offset_mapping"]]


def _target(example: Example, pool: Pool, history_turns: int) -> Target:
    reading, answer = read(example, pool, history_turns), example.answers[0]
    if isinstance(answer, Refusal):
        return Target(reading, answer.value)
    said, unsaid = align(answer, reading)
    intent = answer_text(Call(answer.name, dict(sorted(unsaid.items()))))
    return Target(reading, domain_of(pool[answer.name]), intent, tuple(said))


def _refused_for_lack(answer: Answer, tags: Sequence[str]) -> bool:
    return answer is Refusal.NO_FUNCTION and "out_of_scope" not in tags


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
