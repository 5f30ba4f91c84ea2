"""The conversation that asks for an API description of what a query needs, and the reply as one line (App. D)."""

from collections.abc import Sequence
from random import Random

from supertiny.core.calls import Function, Pool
from supertiny.core.errors import UserError
from supertiny.core.records import Example
from supertiny.model.ask import Chat
from supertiny.prototype.prompt import asked
from supertiny.retrieve.documents import in_words
from supertiny.retrieve.needed import needed, with_call

GUIDELINES = """You write documentation of APIs. Read the context, the notes, the dialogue and the query.
Reply with one short line: a description of the API that serves the query, as its document says it.
Say what the API does to which kind of thing. Leave out the names, places and values of the query."""


def description_chat(example: Example, shown: Sequence[Example], pool: Pool, sample: int = 0) -> Chat:
    """The conversation for `example` after the in-context examples `shown`, which all queries share and come first."""
    messages = [("system", GUIDELINES)]
    for one in shown:
        messages += [("user", asked(one, pool)), ("assistant", described(pool[needed(one)]))]
    return Chat((*messages, ("user", asked(example, pool))), sample=sample)


def examples_to_show(expert: Sequence[Example], pool: Pool, count: int, seed: int) -> list[Example]:
    """`count` expert queries, no two of one function, the same for every query; drawn once."""
    rows = with_call(expert)
    Random(seed).shuffle(rows)
    first = {needed(one): one for one in reversed(rows)}
    if count > len(first):
        raise UserError(
            f"params.yaml: describe.num_examples: {count}, but the expert set calls {len(first)} functions; show fewer"
        )
    return sorted(first.values(), key=lambda one: rows.index(one))[:count]


def described(function: Function) -> str:
    """What the function's document says of it: its description, or its name in words where it has none.

    >>> described(Function("lock_door", "Locks a door.")), described(Function("lock_door", ""))
    ('Locks a door.', 'lock door')
    """
    return " ".join(function.description.split()) or in_words(function.name)


def cleaned(reply: str, max_chars: int) -> str:
    """The first line of `reply` that says something, without quotes around it, cut at a word; empty where none does.

    >>> cleaned(' "Turns on a light" ', 99), cleaned("Turns on a light", 10), cleaned("\\n ", 9)
    ('Turns on a light', 'Turns on a', '')
    """
    text = reply.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair can be in no file
    lines = (" ".join(line.split()).strip("\"'`*- ") for line in text.splitlines())
    line = next(filter(None, lines), "")
    if len(line) <= max_chars:
        return line
    whole_words = line[: max_chars + 1].rpartition(" ")[0]
    return whole_words or line[:max_chars]
