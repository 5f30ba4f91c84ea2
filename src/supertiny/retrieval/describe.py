"""A language model that describes the APIs that queries need."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from supertiny.core.ask import AskChats, Chat, ChatConfig
from supertiny.core.calls import Function, Pool
from supertiny.core.chat_prompt import asked
from supertiny.core.errors import UserError
from supertiny.core.prompt import is_lone
from supertiny.core.records import Example, read_examples
from supertiny.retrieval.config import DescribeConfig
from supertiny.retrieval.index import in_words
from supertiny.retrieval.recall import needed, with_call

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
    whole_words = "" if is_lone(line[max_chars]) else line[: max_chars + 1].rpartition(" ")[0]
    return whole_words or line[:max_chars]


@dataclass(frozen=True, slots=True, kw_only=True)
class Describer:
    """The model with the in-context examples it is shown."""

    pool: Pool
    shown: Sequence[Example]
    ask: AskChats
    cfg: DescribeConfig

    def describe(self, examples: Sequence[Example]) -> list[str]:
        """One description for each example; where the model says nothing, the query stands for itself."""
        chats = [description_chat(example, self.shown, self.pool) for example in examples]
        said = self._lines(chats, self.cfg.chat, "describe")
        return [line or example.query for line, example in zip(said, examples, strict=True)]

    def sample(self, examples: Sequence[Example], samples: int, cfg: ChatConfig) -> list[list[str]]:
        """`samples` descriptions for each example, some of them equal or empty."""
        chats = [description_chat(one, self.shown, self.pool, n) for one in examples for n in range(samples)]
        said = self._lines(chats, cfg, "sample descriptions")
        return [said[start : start + samples] for start in range(0, len(said), samples)]

    def _lines(self, chats: Sequence[Chat], cfg: ChatConfig, progress: str) -> list[str]:
        return [cleaned(found.text, self.cfg.max_chars) for found in self.ask(chats, cfg, progress)]


def describer(expert: Path, pool: Pool, ask: AskChats, cfg: DescribeConfig, seed: int) -> Describer:
    """The describer with in-context examples out of file `expert`."""
    shown = examples_to_show(read_examples(expert, pool), pool, cfg.num_examples, seed)
    return Describer(pool=pool, shown=shown, ask=ask, cfg=cfg)
