"""A SGLang server that many clients ask at once: it does the batching."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from supertiny.engines.endpoint._verbs import asking
from supertiny.engines.sglang._kind import KIND
from supertiny.model.ask import Chat, ChatMachine, DecodeConfig, GenerateMachine, Generation, Request


def serve(
    model: Path, cfg: DecodeConfig, machine: ChatMachine | GenerateMachine
) -> AbstractContextManager[Callable[[Request | Chat], Generation]]:
    """Give a thread-safe `ask(request)` to a server of `model`, started for it and stopped after it."""
    return asking(KIND, model, cfg, machine)
