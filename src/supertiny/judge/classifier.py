"""The classifier judge: a small encoder reads the query beside the call and names what is wrong with it, if anything.

It never sees the accepted answers. Training and scoring (`model.labelling`, `model.heads`) are handed in as functions.
"""

import math
from collections.abc import Callable, Sequence

from supertiny.core.calls import Call, Malformed, Pool, Refusal
from supertiny.core.records import Example
from supertiny.judge.judged import RIGHT
from supertiny.judge.kinds import Judge, Reply, verdict
from supertiny.judge.reference import Failure, Verdict
from supertiny.judge.trial import Trial
from supertiny.prompt.dialogue import dialogue

SEPARATOR = " [SEP] "
"""BERT's own token between two texts; it is taken out of whatever the user or a model wrote"""
LABELS = (RIGHT, *(kind.value for kind in Failure if kind is not Failure.UNPARSEABLE))
"""what the encoder tells apart; unparseable replies are the strict reader's to refuse"""

LogProbabilities = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""texts -> log-probabilities of LABELS"""


def classifier(log_probabilities: LogProbabilities, pool: Pool, threshold: float) -> Judge:
    """A judge that calls a reply right where P(right) >= `threshold`, else by its likeliest failure."""

    def judge(examples: Sequence[Example], replies: Sequence[Reply]) -> list[Verdict]:
        asked = [at for at, reply in enumerate(replies) if not isinstance(reply, Malformed)]
        scores = log_probabilities([text(examples[at], replies[at], pool) for at in asked])
        failures = {at: _failure(row, threshold) for at, row in zip(asked, scores, strict=True)}
        pairs = zip(examples, replies, strict=True)
        return [verdict(example, reply, failures.get(at)) for at, (example, reply) in enumerate(pairs)]

    return judge


def training_rows(trial: Trial) -> list[tuple[str, str]]:
    """(text, label) of every reply that can be read and whose kind of failure, if it is wrong, is a known one."""
    found = []
    for row in trial.verdicts:
        label, reply = RIGHT if row.correct else row.kind, trial.reply(row)
        if label in LABELS and not isinstance(reply, Malformed):
            found.append((text(trial.examples[row.example], reply, trial.pool), label))
    return found


def text(example: Example, reply: Reply, pool: Pool) -> str:
    """The reply with its function's document, then the dialogue: a long query is cut, never the call it asks about."""
    if isinstance(reply, Malformed):
        said = "unreadable"
    elif isinstance(reply, Refusal):
        said = f"{reply.value}: {', '.join(_words(name) for name in example.candidates)}"
    else:
        said = f"{_written(reply)} ({pool[reply.name].description})"
    return f"{_plain(said)}{SEPARATOR}{_plain(dialogue(example))}"


def _failure(log_probabilities: Sequence[float], threshold: float) -> Failure | None:
    if math.exp(log_probabilities[0]) >= threshold:
        return None
    return Failure(max(zip(log_probabilities[1:], LABELS[1:], strict=True))[1])


def _written(call: Call) -> str:
    arguments = "; ".join(f"{_words(name)}: {value}" for name, value in call.arguments.items())
    return f"{_words(call.name)}: {arguments}" if arguments else _words(call.name)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _plain(untrusted: str) -> str:
    """The text without anything that could pass for the separator."""
    return untrusted.replace("[", "(").replace("]", ")")
