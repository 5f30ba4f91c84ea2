"""Rule-made chains of thought, for a model that cannot yet think in the format by itself (App. B: cold start).

A trace is short, for it is paid for in every reply: what the query asks, the candidate that comes near and is not it,
and last the answer's function. It quotes nothing that the prompt does not show: what a document says would have to be
known by heart. It says what a rule sees, not what a model would think; it is stored as `Source.RULE`.
"""

import re
from collections import Counter
from collections.abc import Sequence

from supertiny.core.calls import Answer, Call, Function, Pool, Refusal
from supertiny.core.records import Example
from supertiny.data.candidates import nearness
from supertiny.prompt.compressed import response
from supertiny.prompt.thought import Source, Trace, head

MAX_ASKED = 4
"""Words of the query."""
STEM = 4
"""Words that agree in so many letters are one: open, opens. A shorter one tells nothing ("the") unless a name has it"""
REASONS = {Refusal.NO_FUNCTION: "no candidate does this", Refusal.UNCLEAR: "it is open what is wanted"}


def made_up(example: Example, answer: Answer, pool: Pool) -> str:
    """The thought that leads from the query of `example` to `answer`, one of its right ones; deterministic.

    >>> on, off = Function("turn_on_fan", "Turns on a fan"), Function("turn_off_fan", "Turns off a fan")
    >>> example = Example(id="1", query="Switch the fan on please", candidates=("turn_off_fan", "turn_on_fan"))
    >>> made_up(example, Call("turn_on_fan", {}), {"turn_on_fan": on, "turn_off_fan": off})
    'on: not turn_off_fan: turn_on_fan'
    """
    target = pool.get(answer.name) if isinstance(answer, Call) else None
    offered = [pool[name] for name in example.candidates]
    right = {head(answer), *map(head, example.answers)}
    others = [function for function in offered if function.name not in right]
    asked = _asked(example.query, offered)
    near = _nearest(target, asked, others)
    steps = [
        " ".join(asked),
        f"not {near.name}" if near else "",
        REASONS[answer] if isinstance(answer, Refusal) else "",
    ]
    return ": ".join([*filter(None, steps), head(answer)])


def trace(example: Example, pool: Pool) -> Trace:
    """The rule-made row of a labelled example, for its reference answer."""
    answer = example.answers[0]
    return Trace(example.id, made_up(example, answer, pool), response(answer, pool), Source.RULE)


def _asked(query: str, offered: Sequence[Function]) -> list[str]:
    """Words of the query that tell the candidates apart, in its order; where none does, its last ones.

    A word tells them apart where it (its stem) is in what some say, but no more than half.
    """
    said = list(dict.fromkeys(_words(query)))
    counts = Counter(stem for function in offered for stem in _stems(function))
    telling = [word for word in said if 0 < 2 * counts[word[:STEM]] <= len(offered)]
    return telling[:MAX_ASKED] or said[-MAX_ASKED:]


def _nearest(target: Function | None, asked: Sequence[str], others: Sequence[Function]) -> Function | None:
    """The candidate most like the answer's function or, for a refusal, most like the query; None where none is."""

    def likeness(function: Function) -> float:
        if target:
            return nearness(target, function)
        return len({word[:STEM] for word in asked} & _stems(function))

    # the first of equal ones: `max` keeps the candidates' order
    best = max(others, key=likeness, default=None)
    return best if best and likeness(best) > 0 else None


def _stems(function: Function) -> set[str]:
    """What a function says of itself: the words of its name and the longer ones of its document."""
    told = [word for word in _words(function.description) if len(word) >= STEM]
    return {word[:STEM] for word in [*_words(function.name.replace("_", " ")), *told]}


def _words(text: str) -> list[str]:
    """Words in lower case without punctuation, so that no tag can come from a query or a document."""
    return re.findall(r"\w+(?:['\u2019]\w+)*", text.lower())
