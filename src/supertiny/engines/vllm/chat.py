"""Chats answered by a vLLM server."""

from pathlib import Path

from supertiny.engines.endpoint._verbs import chats
from supertiny.engines.vllm._kind import KIND
from supertiny.model.ask import AskChats, ChatMachine


def chat(model: Path, machine: ChatMachine) -> AskChats:
    """Give `ask(chats, cfg, progress)`: a reply to each chat from the server that section `servers.chat` describes."""
    return chats(KIND, model, machine)
