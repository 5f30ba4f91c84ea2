"""What a load test asks over HTTP: any server that speaks the OpenAI protocol.

Python's own client, one connection a thread: the test must not take the cores that the server computes on.
"""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import local
from typing import Any
from urllib.parse import urlsplit

from supertiny.core.ask import Generation
from supertiny.core.calls import Answer, Call, Pool, Syntax, written
from supertiny.core.errors import UserError
from supertiny.core.records import Example, tool_json


class Endpoint:
    """The server at a base URL such as http://gpu1:30000/v1; safe to ask from many threads."""

    def __init__(self, url: str, timeout_s: float, key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"--url: expected an address such as http://gpu1:30000/v1, got {url!r}")
        self._open = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._address, self._path, self._timeout_s = parts.netloc, parts.path.rstrip("/"), timeout_s
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._mine = local()

    def post(self, route: str, body: Mapping[str, Any]) -> Any:
        """The JSON that the server answers `body` with; whatever else it does is an error."""
        return self._asked("POST", route, json.dumps(body).encode())

    def models(self) -> list[str]:
        """The names it serves."""
        return [str(one["id"]) for one in self._asked("GET", "models", None)["data"]]

    def _asked(self, method: str, route: str, body: bytes | None) -> Any:
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._open(self._address, timeout=self._timeout_s)
        try:
            connection.request(method, f"{self._path}/{route}", body, self._headers)
            reply = connection.getresponse()
            said = reply.read()
        except (OSError, HTTPException):
            connection.close()  # the next request opens it anew
            raise
        if reply.status != 200:
            raise UserError(f"{route}: HTTP {reply.status}: {said[:200].decode(errors='replace')}")
        return json.loads(said)


def complete(server: Endpoint, model: str, ids: list[int], max_new_tokens: int) -> Generation:
    """What a server of the bare model writes behind the prompt `ids`, greedily; it constrains nothing."""
    asked = {"model": model, "prompt": ids, "max_tokens": max_new_tokens, "temperature": 0}
    found = server.post("completions", asked)
    return _generation(found["choices"][0]["text"], found["usage"])


def chat(server: Endpoint, model: str, example: Example, pool: Pool, syntax: Syntax) -> Generation:
    """What a service of the whole path (`supertiny serve`) answers to `example` with its candidates as tools.

    A call comes as its model would have written it in `syntax`.
    """
    messages: list[dict[str, Any]] = []
    for turn in example.history:
        messages += [{"role": "user", "content": turn.query}, _said(turn.answer)]
    asked = {
        "model": model,
        "messages": [*messages, {"role": "user", "content": example.query}],
        "tools": [tool_json(pool[name]) for name in example.candidates],
        "metadata": example.context,
    }
    found = server.post("chat/completions", {key: value for key, value in asked.items() if value})
    message = found["choices"][0]["message"]
    if not message.get("tool_calls"):
        return _generation(message["content"], found["usage"])
    called = message["tool_calls"][0]["function"]
    call = Call(called["name"], json.loads(called["arguments"]))
    return _generation(written(call, syntax), found["usage"])


def _said(answer: Answer) -> dict[str, Any]:
    """An earlier answer as the assistant's message."""
    if not isinstance(answer, Call):
        return {"role": "assistant", "content": answer.value}
    called = {"name": answer.name, "arguments": json.dumps(answer.arguments, ensure_ascii=False)}
    call = {"id": "call", "type": "function", "function": called}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _generation(text: str, usage: Mapping[str, Any]) -> Generation:
    prompt = usage["prompt_tokens"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Generation(text, prompt, prompt - cached, usage["completion_tokens"])
