"""Where a server is and how it is asked, with the keys of the profile that say so."""

from dataclasses import dataclass

from supertiny.core.errors import UserError
from supertiny.model.ask import ChatMachine


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One server that speaks the OpenAI protocol."""

    section: str
    """of the profile: what its errors name"""
    url: str
    """base URL, ending in /v1"""
    model: str
    """the model's name there"""
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
        key_variable=machine.key_variable,
        timeout_s=machine.timeout_s,
        batch_size=machine.batch_size,
        batch_size_key="chat.batch_size",
        structured=machine.structured,
    )
