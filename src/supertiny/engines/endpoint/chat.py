"""Chats answered by a server that speaks the OpenAI protocol."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from supertiny.core.errors import UserError
from supertiny.core.files import digest
from supertiny.model.ask import Chat, ChatConfig, ChatMachine, Generation
from supertiny.model.replies import Replies

RETRIES = 5
"""of one chat, with growing pauses, when the server is busy or away"""
SECONDS = 300.0
"""that one reply may take"""


def chat(model: Path, machine: ChatMachine) -> Callable[[Sequence[Chat], ChatConfig, str], list[Generation]]:
    """The same as the native engine's, from `machine.url`; `model` stays unused, for the server has its own."""
    if not machine.url or not machine.served_model:
        raise UserError("profile: chat: engine 'endpoint' needs chat.url and chat.served_model")
    client = _client(machine.url, machine.key_variable)

    def answer(chats: Sequence[Chat], cfg: ChatConfig) -> list[Generation]:
        with ThreadPoolExecutor(machine.batch_size) as threads:
            return list(threads.map(lambda one: _reply(client, str(machine.served_model), one, cfg), chats))

    return Replies(digest(machine.url, machine.served_model), answer, machine.shard).ask


def _client(url: str, key_variable: str | None) -> Any:
    try:
        from openai import OpenAI
    except ImportError:
        raise UserError("engine 'endpoint' needs the package openai: pip install 'supertiny[endpoint]'") from None
    key = os.environ.get(key_variable) if key_variable else "none"
    if not key:
        raise UserError(f"profile: chat.key_variable: the environment has no {key_variable}; set it to the API key")
    return OpenAI(base_url=url, api_key=key, max_retries=RETRIES, timeout=SECONDS)


def _reply(client: Any, model: str, chat: Chat, cfg: ChatConfig) -> Generation:
    from openai import OpenAIError

    schema = json.loads(chat.schema) if chat.schema else None
    wanted = {"response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}}
    try:
        found = client.chat.completions.create(
            model=model,
            messages=[{"role": role, "content": text} for role, text in chat.messages],
            temperature=cfg.temperature,
            max_tokens=cfg.max_new_tokens,
            seed=chat.sample,
            **(wanted if schema else {}),
        )
    except OpenAIError as error:
        raise UserError(f"profile: chat.url: {client.base_url} did not answer: {error}") from error
    if not found.choices or not found.usage:
        raise UserError(f"profile: chat.url: {client.base_url} sent a reply without choices or usage")
    prompt, cached = found.usage.prompt_tokens, getattr(found.usage.prompt_tokens_details, "cached_tokens", 0) or 0
    return Generation(found.choices[0].message.content or "", prompt, prompt - cached, found.usage.completion_tokens)
