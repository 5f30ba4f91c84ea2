"""A TensorRT-LLM server that many clients ask at once: it does the batching."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from supertiny.core.ask import ChatMachine, DecodeConfig, GenerateMachine, Generation
from supertiny.engines.servers.answer import asking
from supertiny.engines.servers.trtllm import KIND


def serve(
    model: Path, cfg: DecodeConfig, machine: ChatMachine | GenerateMachine
) -> AbstractContextManager[Callable[[Any], Generation]]:
    """Give a thread-safe `ask(request)`, for chats `ask(chat)`, to a server of `model`, stopped after it."""
    return asking(KIND, model, cfg, machine)
