"""The small model's prompt: candidates, context, knowledge, history, query; the answer is the call alone (App. C).

What many queries share (the candidates) comes first, so that its keys and values can be computed once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from supertiny.core.calls import Answer, Call, Function, Pool, answer_text
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
