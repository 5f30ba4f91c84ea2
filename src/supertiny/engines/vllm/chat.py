"""Chats answered by a vLLM server."""

from pathlib import Path

from supertiny.core.ask import AskChats, ChatMachine
from supertiny.engines.servers.answer import chats
from supertiny.engines.servers.vllm import KIND


def chat(model: Path, machine: ChatMachine) -> AskChats:
    """Give `ask(chats, cfg, progress)`: a reply to each chat from the server that section `servers.chat` describes."""
    return chats(KIND, model, machine)
