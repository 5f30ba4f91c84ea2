"""The small model's prompt: candidates, context, knowledge, history, query; the answer is the call alone (App. C).

What many queries share (the candidates) comes first, so that its keys and values can be computed once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from supertiny.core.calls import Answer, Call, Function, Parameter, Pool, answer_text
from supertiny.core.config import require
from supertiny.core.records import Example


@dataclass(kw_only=True, slots=True)
class PromptConfig:
    """How much the compressed prompt says."""

    describe: bool
    """each candidate's description beside its signature"""
    history_turns: int
    """latest turns of the dialogue shown"""

    def __post_init__(self) -> None:
        require(self.history_turns >= 0, f"history_turns: expected 0 or more, got {self.history_turns}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in its two parts; the model reads `shared + own`."""

    shared: str
    own: str


def render(example: Example, pool: Pool, cfg: PromptConfig) -> Prompt:
    """The compressed prompt of `example` with the candidates it names."""
    return Prompt(shared_part([pool[name] for name in example.candidates], cfg), own_part(example, pool, cfg))


def shared_part(functions: Iterable[Function], cfg: PromptConfig) -> str:
    """The candidate functions, one a line."""
    return "Functions:\n" + "".join(f"{signature(function, cfg)}\n" for function in functions)


def signature(function: Function, cfg: PromptConfig) -> str:
    """One candidate on one line: a required parameter stands bare, an optional one behind `?`.

    >>> from supertiny.core.calls import Parameter
    >>> wait = Function("wait", "Waits", {"minutes": Parameter("integer", "", True), "name": Parameter("string")})
    >>> signature(wait, PromptConfig(describe=True, history_turns=1))
    'wait(minutes, name?): Waits'
    """
    parameters = ", ".join(name if p.required else f"{name}?" for name, p in function.parameters.items())
    return f"{function.name}({parameters})" + (f": {function.description}" if cfg.describe else "")


def own_part(example: Example, pool: Pool, cfg: PromptConfig) -> str:
    """What this query alone brings: context, knowledge, history, the query, and the cue to answer."""
    lines = ["; ".join(f"{key}: {value}" for key, value in example.context.items())] if example.context else []
    lines += [f"Note: {explanation}" for explanation in example.knowledge]
    for turn in example.history[max(0, len(example.history) - cfg.history_turns) :]:
        lines += [f"Earlier: {turn.query}", f"Answer: {response(turn.answer, pool)}"]
    return "\n".join([*lines, f"Query: {example.query}", "Answer:"])


def response(answer: Answer, pool: Pool) -> str:
    """The answer as the model is taught to write it: arguments in the order of the function's document."""
    if isinstance(answer, Call) and answer.name in pool:
        order = list(pool[answer.name].parameters)
        answer = Call(answer.name, dict(sorted(answer.arguments.items(), key=lambda item: order.index(item[0]))))
    return answer_text(answer)


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
        query=example.query,
        context="; ".join(f"{key}: {value}" for key, value in example.context.items()),
        knowledge=SEPARATOR.join(filter(None, example.knowledge)),
        earlier=SEPARATOR.join(f"Earlier: {turn.query} -> {words(turn.answer)}" for turn in turns),
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
    return {"type": "array", "items": {}} if parameter.type == "array" else {"type": parameter.type}
