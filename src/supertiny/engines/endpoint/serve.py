"""A server that many clients ask at once: it does the batching, and every client has a request of its own in flight."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.engines.endpoint._address import chat_address
from supertiny.engines.endpoint._server import Server
from supertiny.model.ask import Chat, ChatConfig, ChatMachine, DecodeConfig, GenerateMachine, Generation


@contextmanager
def serve(
    model: Path, cfg: DecodeConfig, machine: ChatMachine | GenerateMachine
) -> Iterator[Callable[[Chat], Generation]]:
    """Give a thread-safe `ask(chat)` to the server at `machine.url`; `model` stays unused, for the server has its own.

    Nothing is asked twice: a busy server is an error of the load test, not a longer response time.
    """
    if not isinstance(machine, ChatMachine):
        raise UserError(
            "profile: engines.serve: engine 'endpoint' asks the large model's server, so it can bench the prototype "
            f"alone; bench {model.name} with 'native'"
        )
    server = Server(chat_address(machine), retries=0)
    server.check()
    greedy = ChatConfig(temperature=0.0, max_new_tokens=cfg.max_new_tokens)
    try:
        yield lambda chat: server.reply(chat, greedy)
    finally:
        server.close()
