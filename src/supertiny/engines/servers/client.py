"""One server that speaks the OpenAI protocol: a prompt in, a reply out; what can go wrong is one line and a remedy."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from supertiny.core.ask import Chat, ChatConfig, ChatMachine, Generation
from supertiny.core.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One server that speaks the OpenAI protocol."""

    section: str
    """of the profile: what its errors name"""
    url: str
    """base URL, ending in /v1"""
    model: str
    """the model's name there"""
    model_key: str
    """of the profile, where a server that has no such model is put right"""
    key_variable: str | None
    """environment variable that holds the API key; None: none is sent"""
    timeout_s: float
    """that one reply may take"""
    batch_size: int
    """requests in flight"""
    batch_size_key: str
    """of the profile"""
    structured: str
    """what a chat's reply can be held to: json_schema | json_object | none"""


def chat_address(machine: ChatMachine) -> Address:
    """The server that section `chat` of the profile names."""
    if not machine.url or not machine.served_model:
        raise UserError("profile: chat: engine 'endpoint' needs chat.url and chat.served_model")
    return Address(
        section="chat",
        url=machine.url,
        model=machine.served_model,
        model_key="chat.served_model",
        key_variable=machine.key_variable,
        timeout_s=machine.timeout_s,
        batch_size=machine.batch_size,
        batch_size_key="chat.batch_size",
        structured=machine.structured,
    )


CONNECT_S = 10.0
"""that a connection may take; a reply may take `Address.timeout_s`"""
TOO_LONG = ("context length", "context_length", "max_model_len", "max_seq_len", "max_num_tokens")
"""in a server's refusal: the context is too short"""
NEXT_SEED = 2**20
"""between the seeds of one chat's attempts, so that no attempt is another sample's"""


class Server:
    """The server at `address`; safe to ask from many threads."""

    def __init__(self, address: Address, retries: int) -> None:
        self._address, self._retries = address, retries
        self._client = _client(address, retries)
        self.cut: list[Chat] = []
        """chats with a schema whose reply was cut at `max_new_tokens`, and so is no whole JSON"""

    def reply(self, chat: Chat, cfg: ChatConfig) -> Generation:
        """The reply; one that breaks its schema in spite of `structured: json_schema` is asked for again, then a fault.

        A reply cut at `max_new_tokens` is given as it is, as by the native engine: its reader finds it malformed.
        """
        for attempt in range(self._retries + 1):
            finish, found = self._complete(chat, cfg, chat.sample + attempt * NEXT_SEED)
            if not chat.schema or self._address.structured != "json_schema" or _is_json(found.text):
                return found
            if finish == "length":
                self.cut.append(chat)
                return found
        raise UserError(
            f"profile: chat.structured: asked for a JSON schema, {self._url} sent {found.text[:80]!r}, not JSON, "
            f"{self._retries + 1} times; serve with structured output, or set json_object or none if it cannot be had"
        )

    def write(self, prompt: Sequence[int], max_new_tokens: int, held_to: Mapping[str, Any]) -> Generation:
        """What greedily follows the token ids of `prompt`; `held_to`: the server's own words for a grammar."""
        found = self._asked(
            lambda: self._client.completions.create(
                model=self._address.model,
                prompt=list(prompt),
                temperature=0.0,
                max_tokens=max_new_tokens,
                extra_body=dict(held_to),
            )
        )
        return _generation(found.choices[0].text or "", found.usage)

    def check(self) -> None:
        """Fail now if the server is away, refuses the key or has no such model; one that lists no models passes."""
        from openai import NotFoundError, OpenAIError

        try:
            self._client.models.list()
        except NotFoundError:
            return
        except OpenAIError as error:
            raise self._fault(error) from error
        names = self._served()
        if names and self._address.model not in names:
            raise self._unknown_model(names)

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def _complete(self, chat: Chat, cfg: ChatConfig, seed: int) -> tuple[str, Generation]:
        """(why the reply ended, the reply)."""
        found = self._asked(
            lambda: self._client.chat.completions.create(
                model=self._address.model,
                messages=[{"role": role, "content": text} for role, text in chat.messages],
                temperature=cfg.temperature,
                max_tokens=cfg.max_new_tokens,
                seed=seed,
                **_format(chat.schema, self._address.structured),
            )
        )
        first = found.choices[0]
        return first.finish_reason, _generation(first.message.content or "", found.usage)

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """A completion with choices and usage, or the fault in one line."""
        from openai import OpenAIError

        try:
            found = ask()
        except OpenAIError as error:
            raise self._fault(error) from error
        except ValueError as error:
            raise UserError(f"profile: {self._address.section}.url: {self._url} sent no JSON: {error}") from error
        if not getattr(found, "choices", None) or not found.usage:
            raise UserError(
                f"profile: {self._address.section}.url: {self._url} sent no chat completion with choices and usage"
            )
        return found

    @cached_property
    def _url(self) -> str:
        return str(self._client.base_url)

    def _fault(self, error: Exception) -> UserError:
        """The key of the profile that puts it right."""
        import openai

        at, said, times = self._address, " ".join(str(error).split())[:400], f"asked {self._retries + 1} times"
        match error:
            case openai.APITimeoutError():
                why = f"timeout_s: {self._url} gave no reply within {at.timeout_s} s, {times}; allow more, "
                why += f"or ask fewer at once than {at.batch_size_key}: {at.batch_size}"
            case openai.APIConnectionError():
                why = f"url: no server answers at {self._url}, {times}: {error.__cause__ or said}"
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                why = f"{self._url} refuses the API key of variable {at.key_variable}: {said}"
                return UserError(f"profile: {at.section}.key_variable: {why}")
            case openai.NotFoundError():
                return self._unknown_model(self._served(), said)
            case openai.RateLimitError():
                why = f"{self._url} is busy, {times}: {said}; ask fewer at once than {at.batch_size} or raise"
                return UserError(f"profile: {at.batch_size_key}: {why} {at.section}.retries")
            case openai.BadRequestError() if _is_too_long(said):
                why = f"url: a prompt and its reply exceed the context of the model at {self._url}: {said}; "
                why += "serve it with a longer one, or lower num_examples or max_new_tokens in params.yaml"
            case openai.InternalServerError():
                why = f"url: {self._url} fails, {times}: {said}; read the server's log"
            case _:
                why = f"url: {self._url} refuses the request: {said}"
        return UserError(f"profile: {at.section}.{why}")

    def _served(self) -> list[str]:
        from openai import OpenAIError

        try:
            return [one.id for one in self._client.models.list().data]
        except (OpenAIError, ValueError, AttributeError):
            return []

    def _unknown_model(self, names: list[str], said: str = "") -> UserError:
        at = self._address
        there = f"it serves {', '.join(names)}" if names else f"it lists no models; does {at.section}.url end in /v1?"
        return UserError(f"profile: {at.model_key}: {self._url} has no {at.model!r} ({there}) {said}".rstrip())


def _generation(text: str, usage: Any) -> Generation:
    prompt, cached = usage.prompt_tokens, getattr(usage.prompt_tokens_details, "cached_tokens", 0) or 0
    return Generation(text, prompt, prompt - cached, usage.completion_tokens)


def _client(at: Address, retries: int) -> Any:
    try:
        from openai import OpenAI, Timeout
    except ImportError:
        raise UserError("servers are asked by the package openai: pip install 'supertiny[endpoint]'") from None
    key = os.environ.get(at.key_variable) if at.key_variable else "none"
    if not key:
        raise UserError(
            f"profile: {at.section}.key_variable: the environment has no {at.key_variable}; set it to the API key"
        )
    timeout = Timeout(at.timeout_s, connect=min(CONNECT_S, at.timeout_s))
    return OpenAI(base_url=at.url, api_key=key, max_retries=retries, timeout=timeout)


def _format(schema: str | None, structured: str) -> dict[str, Any]:
    """The request's response_format, in the words the server knows."""
    if not schema or structured == "none":
        return {}
    if structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    wanted = {"name": "reply", "schema": json.loads(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": wanted}}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_too_long(said: str) -> bool:
    """Whether a server's refusal speaks of the context, which every server words in its own way."""
    return any(sign in said.lower() for sign in TOO_LONG)
