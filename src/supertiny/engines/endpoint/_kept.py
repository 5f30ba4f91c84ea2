"""Many prompts asked at once; every reply that was ever given is kept, whatever stops the others."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from tqdm import tqdm

from supertiny.engines.endpoint._server import Server
from supertiny.model.ask import AskChats, Chat, ChatConfig, ChatMachine, Generation
from supertiny.model.replies import Asked, Config, Replies


def kept_replies(
    identity: str, replier: Callable[[], Callable[[Asked, Config], Generation]], in_flight: int, shard: int
) -> Replies[Asked, Config]:
    """The replies of whoever has this `identity`, `in_flight` asked for at once.

    `replier` gives who replies; it is called when there is something to ask, and not before.
    """

    def answer(asked: Sequence[Asked], cfg: Config) -> list[Generation]:
        given: dict[int, Generation] = {}
        try:
            _ask_all(replier(), asked, cfg, in_flight, given)
        except BaseException:
            if given:
                kept: Replies[Asked, Config]
                kept = Replies(identity, lambda again, _: [given[at] for at in sorted(given)], len(given))
                kept.ask([asked[at] for at in sorted(given)], cfg, "kept")
            raise
        return [given[at] for at in range(len(asked))]

    return Replies(identity, answer, shard)


def kept_chats(identity: str, server: Callable[[], Server], machine: ChatMachine) -> AskChats:
    """A reply to each chat from the server that `server` gives, which is called when there is something to ask."""
    asked: list[Server] = []

    def replier() -> Callable[[Chat, ChatConfig], Generation]:
        asked[:] = [server()]
        return asked[0].reply

    known = kept_replies(identity, replier, machine.batch_size, machine.shard)

    def ask(chats: Sequence[Chat], cfg: ChatConfig, progress: str) -> list[Generation]:
        found = known.ask(chats, cfg, progress)
        for one in asked:
            _warn_of_cut(one, len(chats), cfg)
        return found

    return ask


def _ask_all(
    reply: Callable[[Asked, Config], Generation],
    asked: Sequence[Asked],
    cfg: Config,
    in_flight: int,
    given: dict[int, Generation],
) -> None:
    """Fill `given`, by place; after the first fault nothing more is sent, and what is in flight is waited for."""

    def ask(at: int) -> None:
        given[at] = reply(asked[at], cfg)

    with ThreadPoolExecutor(in_flight) as threads:
        waiting = [threads.submit(ask, at) for at in range(len(asked))]
        try:
            wait(waiting, return_when=FIRST_EXCEPTION)
        finally:
            for future in waiting:
                future.cancel()
    for future in waiting:
        if not future.cancelled():
            future.result()


def _warn_of_cut(server: Server, num_chats: int, cfg: ChatConfig) -> None:
    if server.cut:
        what = f"{len(server.cut)} of {num_chats} replies with a schema were cut at {cfg.max_new_tokens} tokens"
        tqdm.write(f"warning: {what}, and count as unreadable; raise max_new_tokens in params.yaml", file=sys.stderr)
        server.cut.clear()
