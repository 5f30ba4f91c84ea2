"""Chats answered by a server that speaks the OpenAI protocol."""

from pathlib import Path

from supertiny.core.files import digest
from supertiny.engines.endpoint._address import chat_address
from supertiny.engines.endpoint._kept import kept_chats
from supertiny.engines.endpoint._server import Server
from supertiny.model.ask import AskChats, ChatMachine


def chat(model: Path, machine: ChatMachine) -> AskChats:
    """The same as the native engine's, from `machine.url`; `model` stays unused, for the server has its own."""
    server = Server(chat_address(machine), machine.retries)
    return kept_chats(digest(machine.url, machine.served_model, machine.structured), lambda: server, machine)
