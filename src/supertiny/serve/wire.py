"""What goes over the wire: our own route's JSON, and the OpenAI protocol's chat completions."""

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, Field

from supertiny.baseline.frames import to_frame
from supertiny.core.calls import Answer, Call, Malformed, Pool, Refusal, answer_from_json, answer_json
from supertiny.core.errors import UserError
from supertiny.core.records import Example, Turn, function_of_tool
from supertiny.serve.path import Served

MAX_CHARS = 4000
"""of one text in a request"""
MAX_ITEMS = 64
"""entries of one list or mapping in a request"""
MAX_TOOLS = 512
"""functions that a request brings"""


class EarlierTurn(BaseModel):
    """An earlier query of the dialogue and the answer it got."""

    query: str = Field(min_length=1, max_length=MAX_CHARS)
    answer: dict[str, Any] | str = Field(description='{"name": ..., "arguments": {...}}, or the words of a refusal')


class Query(BaseModel):
    """What is asked, and what is known of the moment."""

    query: str = Field(min_length=1, max_length=MAX_CHARS)
    context: dict[str, str] = Field(default_factory=dict, max_length=MAX_ITEMS)
    history: list[EarlierTurn] = Field(default_factory=list, max_length=MAX_ITEMS)
    model: str | None = Field(default=None, description="null: the first of /v1/models")


class ToolFunction(BaseModel):
    """A call as the OpenAI protocol has it."""

    name: str
    arguments: str = Field(max_length=MAX_CHARS)


class ToolCall(BaseModel):
    """The same with its id."""

    id: str = ""
    type: Literal["function"] = "function"
    function: ToolFunction


class Message(BaseModel):
    """One message of a chat; of content only text is read."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = Field(default=None, max_length=MAX_CHARS)
    tool_calls: list[ToolCall] | None = Field(default=None, max_length=MAX_ITEMS)


class ChatCompletion(BaseModel):
    """A chat-completions request; `metadata` is the query's context, `tools` its candidates."""

    model: str | None = None
    messages: list[Message] = Field(min_length=1, max_length=MAX_ITEMS)
    tools: list[dict[str, Any]] | None = Field(default=None, max_length=MAX_TOOLS)
    metadata: dict[str, str] | None = Field(default=None, max_length=MAX_ITEMS)
    stream: bool = False


def example_of(asked: Query, pool: Pool) -> Example:
    """The query as an example; an earlier answer that is none of the pool's is an error that names it."""
    turns = tuple(
        Turn(turn.query, _answer(turn.answer, pool, f"history[{at}].answer")) for at, turn in enumerate(asked.history)
    )
    return Example(id=uuid.uuid4().hex, query=_said(asked.query, "query"), context=asked.context, history=turns)


def chat_of(asked: ChatCompletion, pool: Pool) -> tuple[Example, Pool | None]:
    """The last user message as an example, earlier turns before it, and the functions of `tools` if there are any.

    An earlier call may be of a function that is not offered any more. A system message is not read: the small model has
    one prompt, which it was trained on.
    """
    tools = _tools(asked.tools) if asked.tools else None
    turns, query = list[Turn](), None
    for at, message in enumerate(asked.messages):
        if message.role == "user":
            query = _said(message.content or "", f"messages[{at}].content")
        elif message.role == "assistant" and query is not None:
            turns += _turn(query, message, {**pool, **(tools or {})}, f"messages[{at}]")
            query = None
    if query is None:
        raise UserError("messages: expected a user's message at the end")
    example = Example(
        id=uuid.uuid4().hex,
        query=query,
        context=asked.metadata or {},
        history=tuple(turns),
        candidates=tuple(tools or ()),
    )
    return example, tools


def answer_body(served: Served, model: str, seconds: float) -> dict[str, Any]:
    """The answer with every step that led to it."""
    reply, ranked = served.reply, served.found.ranked if served.found else []
    read: dict[str, Any]
    if isinstance(reply, Malformed):
        read = {"answer": None, "fault": f"{reply.fault} ({reply.detail})", "frame": None}
    else:
        read = {"answer": answer_json(reply), "fault": None, "frame": asdict(to_frame(reply, served.pool))}
    return {
        "model": model,
        "query": served.example.query,
        "context": served.example.context,
        "knowledge": list(served.example.knowledge),
        "searched_for": served.found.searched_for if served.found else None,
        "candidates": [{"name": name, "score": round(score, 4)} for name, score in ranked],
        "prompt": served.request.prompt.shared + served.request.prompt.own,
        "written": served.generation.text.strip(),
        **read,
        "tokens": {"prompt": served.generation.prompt_tokens, "new": served.generation.new_tokens},
        "ms": {step: round(1000 * taken, 2) for step, taken in (served.seconds | {"all": seconds}).items()},
    }


def completion_body(served: Served, model: str) -> dict[str, Any]:
    """The same as a chat completion: a call as its one tool call, a refusal as content."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    reason = "stop"
    match served.reply:
        case Call(name=name, arguments=arguments):
            said = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
            one = {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function"}
            message["tool_calls"] = [one | {"function": {"name": name, "arguments": said}}]
            reason = "tool_calls"
        case Refusal() as refusal:
            message["content"] = refusal.value
        case Malformed():
            message["content"], reason = served.generation.text.strip(), "length"
    prompt, new = served.generation.prompt_tokens, served.generation.new_tokens
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new},
    }


def _said(text: str, where: str) -> str:
    if not text.strip():
        raise UserError(f"{where}: is empty")
    return text


def _tools(tools: Sequence[dict[str, Any]]) -> Pool:
    pool = {}
    for at, tool in enumerate(tools):
        function = function_of_tool(tool, f"tools[{at}]")
        if function.name in pool:
            raise UserError(f"tools[{at}]: field 'name': {function.name!r} stands there twice")
        pool[function.name] = function
    return pool


def _turn(query: str, message: Message, pool: Pool, where: str) -> list[Turn]:
    """The turn that an assistant's message ends; none where it is other text than the two refusals."""
    if message.tool_calls:
        called = message.tool_calls[0].function
        try:
            arguments = json.loads(called.arguments)
        except ValueError:
            raise UserError(f"{where}.tool_calls[0].function.arguments: not JSON") from None
        return [Turn(query, _answer({"name": called.name, "arguments": arguments}, pool, f"{where}.tool_calls[0]"))]
    words = (message.content or "").strip()
    return [Turn(query, Refusal(words))] if words in set(Refusal) else []


def _answer(value: Any, pool: Pool, where: str) -> Answer:
    answer = answer_from_json(value, pool)
    if isinstance(answer, Malformed):
        raise UserError(f"{where}: {answer.fault} ({answer.detail})")
    return answer
