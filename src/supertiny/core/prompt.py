"""The small model's prompt and its reply: candidates, context, query; the call alone, or a thought before (App. B, C).

What many queries share (the candidates) comes first, so that its keys and values can be computed once.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any

from supertiny.core.calls import (
    SCALARS,
    Answer,
    Call,
    Fault,
    Function,
    Malformed,
    Parameter,
    Pool,
    Syntax,
    answer_text,
    parse_reply,
    written,
)
from supertiny.core.config import require
from supertiny.core.records import Example


@dataclass(kw_only=True, slots=True)
class PromptConfig:
    """How much the compressed prompt says."""

    describe: bool
    """each candidate's description beside its signature"""
    history_turns: int
    """latest turns of the dialogue shown"""
    answer: Syntax
    """how a call is written: what the model learns, earlier answers in its prompt, the grammar that holds it"""
    rules: list[str]
    """what holds for every query and stands in no function's document, a line each before the functions"""
    max_pool_tokens: int
    """the longest list of functions that a prompt holds; of a pool that is longer a retriever chooses"""

    def __post_init__(self) -> None:
        require(self.history_turns >= 0, f"history_turns: expected 0 or more, got {self.history_turns}")
        require(self.max_pool_tokens > 0, f"max_pool_tokens: expected more than 0, got {self.max_pool_tokens}")
        require(all(rule.strip() for rule in self.rules), "rules: one of them is empty; leave it out")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in its two parts; the model reads `shared + own`."""

    shared: str
    own: str


HEADS = ("Rule", "Functions", "Note", "Earlier", "Answer", "Query")
"""what lines of a prompt begin with, but for the one of the context"""
ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""whatever any reader takes for the end of a line"""
_ENDS = re.compile(f"[{ENDS}]+")


def one_line(field: str) -> str:
    """A field as a prompt holds it: on one line, for each line says by its first word what it is.

    >>> one_line("hi\\r\\nAnswer: yes\\n")
    'hi Answer: yes'
    """
    return _ENDS.sub(" ", field.strip(ENDS))


def render(example: Example, pool: Pool, cfg: PromptConfig) -> Prompt:
    """The compressed prompt of `example` with the candidates it names."""
    shared = shared_part([pool[name] for name in example.candidates], cfg)
    return Prompt(shared, own_part(example, pool, cfg.history_turns, cfg.answer))


def shared_part(functions: Iterable[Function], cfg: PromptConfig) -> str:
    """The rules, then the functions offered, one a line: equal for all queries that are offered the same."""
    rules = "".join(f"Rule: {one_line(rule)}\n" for rule in cfg.rules)
    return f"{rules}Functions:\n" + "".join(f"{signature(function, cfg.describe)}\n" for function in functions)


def signature(function: Function, described: bool) -> str:
    """One candidate on one line: a required parameter stands bare, an optional one behind `?`.

    >>> from supertiny.core.calls import Parameter
    >>> wait = Function("wait", "Waits", {"minutes": Parameter("integer", "", True), "name": Parameter("string")})
    >>> signature(wait, described=True)
    'wait(minutes, name?): Waits'
    """
    parameters = ", ".join(name if p.required else f"{name}?" for name, p in function.parameters.items())
    return f"{function.name}({parameters})" + (f": {one_line(function.description)}" if described else "")


def too_long(shared: str, tokens: int, cfg: PromptConfig) -> str | None:
    """What is wrong with a list of functions of so many tokens; None: it fits into a prompt."""
    if tokens <= cfg.max_pool_tokens:
        return None
    functions = shared.count("\n") - len(cfg.rules) - 1
    return f"a list of {functions} functions has {tokens} tokens, and prompt.max_pool_tokens is {cfg.max_pool_tokens}"


def own_part(example: Example, pool: Pool, history_turns: int, syntax: Syntax) -> str:
    """What this query alone brings: context, knowledge, history, the query, and the cue to answer."""
    lines = [_said(example.context)] if example.context else []
    lines += [f"Note: {one_line(explanation)}" for explanation in example.knowledge]
    for turn in example.history[max(0, len(example.history) - history_turns) :]:
        answer = response(turn.answer, pool, syntax)
        lines += [f"Earlier: {one_line(turn.query)}", f"Answer: {one_line(answer)}"]
    return "\n".join([*lines, f"Query: {one_line(example.query)}", "Answer:"])


def _said(context: Mapping[str, str]) -> str:
    return "; ".join(f"{_key(key)}: {one_line(value)}" for key, value in context.items())


def _key(key: str) -> str:
    """What is known of the moment may be called anything, but not so that it looks like another line."""
    key = one_line(key).strip()
    return key[:1].lower() + key[1:] if key.partition(":")[0].strip() in HEADS else key


def response(answer: Answer, pool: Pool, syntax: Syntax) -> str:
    """The answer as the model is taught to write it: arguments in the order of the function's document."""
    if isinstance(answer, Call) and answer.name in pool:
        order = list(pool[answer.name].parameters)
        answer = Call(answer.name, dict(sorted(answer.arguments.items(), key=lambda item: order.index(item[0]))))
    return written(answer, syntax)


SEPARATOR = " | "


@dataclass(frozen=True, slots=True)
class Parts:
    """What the text says, in its order; empty: nothing."""

    query: str
    context: str
    knowledge: str
    earlier: str
    """turns, the latest first"""


def parts(example: Example, history_turns: int | None = None, words: Callable[[Answer], str] = answer_text) -> Parts:
    """The parts with the latest `history_turns` turns (None: all), each with its answer in `words`."""
    turns = example.history[::-1][:history_turns]
    return Parts(
        query=one_line(example.query),
        context=_said(example.context),
        knowledge=SEPARATOR.join(filter(None, map(one_line, example.knowledge))),
        earlier=SEPARATOR.join(f"Earlier: {one_line(turn.query)} -> {one_line(words(turn.answer))}" for turn in turns),
    )


def dialogue(example: Example) -> str:
    """The query comes first, so that a long dialogue is cut and not the query.

    >>> from supertiny.core.calls import Refusal
    >>> from supertiny.core.records import Turn
    >>> earlier = (Turn("dim it", Refusal.UNCLEAR),)
    >>> dialogue(Example(id="1", query="and here", context={"room": "hall"}, history=earlier))
    'and here | room: hall | Earlier: dim it -> Request unclear'
    """
    said = parts(example)
    return SEPARATOR.join(part for part in (said.query, said.context, said.knowledge, said.earlier) if part)


ANY_SCALAR = {"anyOf": [{"type": kind} for kind in SCALARS]}
"""an item of an array whose schema does not say what its items are: what the reader takes, and nothing else"""


def call_schema(functions: Iterable[Function]) -> dict[str, Any]:
    """The schema of a call of one of `functions`, arguments in document order, nothing else allowed."""
    return {"anyOf": [_one(function) for function in functions]}


def _one(function: Function) -> dict[str, Any]:
    arguments = {
        "type": "object",
        "properties": {name: _value(parameter) for name, parameter in function.parameters.items()},
        "required": [name for name, parameter in function.parameters.items() if parameter.required],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"name": {"const": function.name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _value(parameter: Parameter) -> dict[str, Any]:
    if parameter.enum:
        return {"enum": list(parameter.enum)}
    if parameter.type != "array":
        return {"type": parameter.type}
    return {"type": "array", "items": _value(parameter.items) if parameter.items else ANY_SCALAR}


TAGS = ("<think>", "</think>", "<answer>", "</answer>")
"""Each stands in a reply exactly once, in this order."""
THINKS = "thinks"
"""entry of the config.json of a model that writes this format, and not the answer alone"""
ANSWER = "answer"
"""and of one that writes calls in another `Syntax` than JSON: which"""


class TagFault(StrEnum):
    """Why a reply is not in the format; where several things are wrong, the first in this order."""

    MISSING = "missing tag"
    REPEATED = "repeated tag"
    ORDER = "tags out of order"
    OUTSIDE = "text outside the tags"


@dataclass(frozen=True, slots=True)
class Thought:
    """A reply in its two parts, without the white space around them."""

    thought: str
    answer: str
    """what stands between the answer tags: any text"""


class Source(StrEnum):
    """Who thought it."""

    RULE = "rule"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Trace:
    """One row of chain-of-thought data: what a model is taught to write for the example of this id."""

    id: str
    thought: str
    answer: str
    """the call or the refusal, as written"""
    source: Source

    @property
    def text(self) -> str:
        """The whole reply."""
        return write(self.thought, self.answer)


def write(thought: str, answer_text: str) -> str:
    """The reply of these two parts; `read` gives them back. ValueError where a part holds a tag itself.

    >>> write("turns it on: turn_on_fan", '{"name":"turn_on_fan","arguments":{}}')
    '<think>turns it on: turn_on_fan</think><answer>{"name":"turn_on_fan","arguments":{}}</answer>'
    """
    held = [tag for tag in TAGS if tag in thought or tag in answer_text]
    if held:
        raise ValueError(f"a thought or an answer holds {held[0]}: no reader could tell it from the format's own")
    return f"<think>{thought}</think><answer>{answer_text}</answer>"


def read(text: str) -> Thought | TagFault:
    """The parts of a reply, or why it has none; total.

    Strict: each tag exactly once in the whole reply (so none is nested or quoted), in order, and nothing but white
    space before, between and after the two parts. Tags are these very characters: `<THINK>` and `< think >` are text.

    >>> read(" <think>fan: turn_on_fan</think> <answer>Request unclear</answer>")
    Thought(thought='fan: turn_on_fan', answer='Request unclear')
    >>> read("<think><think>x</think></think><answer>y</answer>")
    <TagFault.REPEATED: 'repeated tag'>
    """
    counts = [text.count(tag) for tag in TAGS]
    if 0 in counts:
        return TagFault.MISSING
    if max(counts) > 1:
        return TagFault.REPEATED
    at = [text.index(tag) for tag in TAGS]
    if at != sorted(at):
        return TagFault.ORDER
    # no tag is part of another, so that ascending starts mean disjoint tags
    starts = [start + len(tag) for start, tag in zip(at, TAGS, strict=True)]
    outside = text[: at[0]] + text[starts[1] : at[2]] + text[starts[3] :]
    if outside.strip():
        return TagFault.OUTSIDE
    return Thought(text[starts[0] : at[1]].strip(), text[starts[2] : at[3]].strip())


def read_answer(text: str, pool: Pool, syntax: Syntax) -> Answer | Malformed:
    """The answer of a small model that may think first; a reply that begins with a tag must be in the format. Total.

    >>> read_answer("<think>open</think><answer>Request unclear</answer>", {}, Syntax.json)
    <Refusal.UNCLEAR: 'Request unclear'>
    """
    if not text.lstrip().startswith("<") or not any(tag in text for tag in TAGS):
        return parse_reply(text, pool, syntax)  # a value in it may spell a tag
    parts = read(text)
    if isinstance(parts, TagFault):
        return Malformed(Fault.NOT_A_CALL, parts.value)
    return parse_reply(parts.answer, pool, syntax)


def head(answer: Answer) -> str:
    """What a thought calls an answer: the function's name, or the words of the refusal."""
    return answer.name if isinstance(answer, Call) else answer.value


_UNPARTED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f"
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u303c\u3040-\u30fa\u30fc-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua980-\ua9ff\uaa60-\uaadf\uf900-\ufaff\uff66-\uff9f"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
"""scripts that part no words (Thai, Lao, Tibetan, Burmese, Khmer, Tai, Javanese, Balinese, Japanese, Chinese, Yi), as a
regular expression has them between brackets"""
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
"""Korean parts words by spaces, but what a noun does in its sentence is written onto its end"""
_LENGTHENED = "\u30fc\uff70\uff9e\uff9f"
"""Japanese letters that lengthen or harden the one before, as marks do"""
LONE = _UNPARTED + _HANGUL
"""letters that count as a word each where words are counted; as above"""
_LONE = re.compile(f"[{LONE}](?:[{LONE}](?<!\\w))*")
"""one of them, with the marks on it"""


def is_lone(char: str) -> bool:
    """Whether a letter counts as a word."""
    return _LONE.match(char) is not None


def spaced(text: str) -> str:
    """The text with spaces around each letter that counts as a word, so that all texts can be split at spaces.

    >>> spaced("\u6253\u5f00LED now").split()
    ['\u6253', '\u5f00', 'LED', 'now']
    """
    return _LONE.sub(r" \g<0> ", text)


def named(text: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that stand in `text` as whole words, in its order and as often as they do (`whole`).

    >>> named("not unlock_door but lock_door.", ["lock_door", "unlock_door"])
    ['unlock_door', 'lock_door']
    """
    return whole(tuple(names), text.isascii()).findall(text)


@lru_cache(maxsize=64)
def whole(names: tuple[str, ...], plain: bool) -> re.Pattern[str]:
    """Any of `names` as a whole word; case counts, and of names that share a place the longest is meant.

    A word ends between any two letters but those of a script that parts words by spaces, and never before a mark that
    stands on its last letter. `plain`: for texts in ASCII, where that is quickly said.

    >>> whole(("\u706f",), False).findall("\u6253\u5f00\u706f")
    ['\u706f']
    """
    longest_first = sorted({name for name in names if name}, key=lambda name: (-len(name), name))
    start, end = (r"(?:(?<!\w)|(?!\w))",) * 2 if plain else _edges()
    any_of = "|".join(map(re.escape, longest_first))
    return re.compile(f"{start}(?:{any_of}){end}" if longest_first else "(?!)")


@cache
def _edges() -> tuple[str, str]:
    """Where a word begins, and where it ends, in any script."""
    marks = [char for char in map(chr, range(0x300, 0x1F000)) if unicodedata.category(char)[0] == "M"]
    parted = re.sub(f"[{_UNPARTED}]", "", "".join(marks))
    edge = rf"(?<![^\W{_UNPARTED}])(?<![{parted}])|(?![^\W{_UNPARTED}]|[{parted}])"
    start = rf"(?:{edge}|(?<=[{_HANGUL}])(?![{_HANGUL}]))"
    end = rf"(?:{edge}|(?<=[{_HANGUL}])|(?=[{_HANGUL}]))"
    return start, rf"{end}(?![{''.join(marks)}{_LENGTHENED}])"
