"""Chats answered by a server that speaks the OpenAI protocol."""

import sys
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from tqdm import tqdm

from supertiny.core.files import digest
from supertiny.engines.endpoint._server import Server
from supertiny.model.ask import AskChats, Chat, ChatConfig, ChatMachine, Generation
from supertiny.model.replies import Replies


def chat(model: Path, machine: ChatMachine) -> AskChats:
    """The same as the native engine's, from `machine.url`; `model` stays unused, for the server has its own."""
    server = Server(machine, machine.retries)
    identity = digest(machine.url, machine.served_model, machine.structured)

    def answer(chats: Sequence[Chat], cfg: ChatConfig) -> list[Generation]:
        given: dict[Chat, Generation] = {}
        try:
            _ask_all(server, chats, cfg, machine.batch_size, given)
        except BaseException:  # what a server has answered is kept, whatever stopped the others
            if given:
                kept: Replies[Chat, ChatConfig]
                kept = Replies(identity, lambda asked, _: [given[one] for one in asked], machine.shard)
                kept.ask(list(given), cfg, "kept")
            raise
        return [given[one] for one in chats]

    return Replies(identity, answer, machine.shard).ask


def _ask_all(
    server: Server, chats: Sequence[Chat], cfg: ChatConfig, in_flight: int, given: dict[Chat, Generation]
) -> None:
    """Fill `given`; after the first fault nothing more is sent, and what is in flight is waited for."""

    def ask(one: Chat) -> None:
        given[one] = server.reply(one, cfg)

    with ThreadPoolExecutor(in_flight) as threads:
        asked = [threads.submit(ask, one) for one in chats]
        try:
            wait(asked, return_when=FIRST_EXCEPTION)
        finally:
            for one in asked:
                one.cancel()
    for one in asked:
        if not one.cancelled():
            one.result()
    if server.cut:
        what = f"{len(server.cut)} of {len(chats)} replies with a schema were cut at {cfg.max_new_tokens} tokens"
        tqdm.write(f"warning: {what}, and count as unreadable; raise max_new_tokens in params.yaml", file=sys.stderr)
        server.cut.clear()
