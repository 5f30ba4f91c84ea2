"""What a hosted engine does for the stages: chats, answers in bulk, answers to many clients at once."""

import atexit
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tqdm import tqdm

from supertiny.core.ask import (
    AskChats,
    Chat,
    ChatConfig,
    ChatMachine,
    DecodeConfig,
    GenerateMachine,
    Generation,
    Request,
)
from supertiny.core.config import load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import digest, read_json
from supertiny.core.prompt import THINKS
from supertiny.engines.servers.client import Server, chat_address
from supertiny.engines.servers.hosted import Kind, by_content, hosted
from supertiny.engines.servers.launch import ServersConfig
from supertiny.model.answer import Asked, Config, Replies, read_replies, write_replies


class Apart(Replies[Asked, Config]):
    """Replies of a server, which is asked one thing at a time, and maybe paid for each: nothing is asked twice.

    What it computes together is its own matter: a reply that came once is the one that is kept, in whatever company.
    """

    def ask(self, chats: Sequence[Asked], cfg: Config, progress: str) -> list[Generation]:
        """As of any; only what has no kept reply is asked for."""
        keys = [digest(asdict(chat), asdict(cfg)) for chat in chats]
        known = self._known
        waiting = {key: chat for key, chat in zip(keys, chats, strict=True) if key not in known}
        todo = list(waiting)
        with tqdm(total=len(set(keys)), initial=len(set(keys)) - len(todo), desc=progress, unit="chat") as bar:
            for start in range(0, len(todo), self._shard):
                shard = todo[start : start + self._shard]
                found = dict(zip(shard, self._answer([waiting[key] for key in shard], cfg), strict=True))
                write_replies(self._folder / f"{digest(sorted(found))[:24]}.jsonl", found)
                known.update(found)
                bar.update(len(shard))
        return [known[key] for key in keys]

    @cached_property
    def _known(self) -> dict[str, Generation]:
        """Every kept reply by its key: the folder is read once, at the first question."""
        files = sorted(self._folder.glob("*.jsonl"))
        return {key: one for path in files for key, one in read_replies(path).items()}


def kept_replies(
    identity: str, replier: Callable[[], Callable[[Asked, Config], Generation]], in_flight: int, shard: int
) -> Apart[Asked, Config]:
    """The replies of whoever has this `identity`, `in_flight` asked for at once.

    `replier` gives who replies; it is called when there is something to ask, and not before.
    """

    def answer(asked: Sequence[Asked], cfg: Config) -> list[Generation]:
        given: dict[int, Generation] = {}
        try:
            _ask_all(replier(), asked, cfg, in_flight, given)
        except BaseException:
            if given:
                kept: Apart[Asked, Config]
                kept = Apart(identity, lambda again, _: [given[at] for at in sorted(given)], len(given))
                kept.ask([asked[at] for at in sorted(given)], cfg, "kept")
            raise
        return [given[at] for at in range(len(asked))]

    return Apart(identity, answer, shard)


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


SHARDS = 4
"""times as many requests as are in flight are kept at once"""
_lasting: dict[str, tuple[ExitStack, Server]] = {}
"""the server of chats, which is asked again and again until another one wants its GPUs, or the process ends"""


def chats(kind: Kind, model: Path, machine: ChatMachine) -> AskChats:
    """Give `ask(chats, cfg, progress)`; the server starts at the first chat that has no kept reply, and then stays."""
    served = load_profile("servers", ServersConfig).model or str(model)
    identity = digest(kind.name, by_content(served), machine.precision, machine.structured)

    def server() -> Server:
        if identity not in _lasting:
            stop_all()
            opened = ExitStack()
            _lasting[identity] = (opened, opened.enter_context(hosted(kind, model, machine, None)))
        return _lasting[identity][1]

    return kept_chats(identity, server, machine)


@atexit.register
def stop_all() -> None:
    """Stop the server of chats: each takes its share of the GPUs' memory, and two on one GPU do not fit."""
    while _lasting:
        _lasting.popitem()[1][0].close()


def answers(
    kind: Kind, model: Path, requests: Sequence[Request], cfg: DecodeConfig, machine: GenerateMachine
) -> list[Generation]:
    """The greedy answer to each request, in the order given; what was ever answered is not asked again."""
    with ExitStack() as opened:
        server: list[Server] = []

        def replier() -> Callable[[Request, DecodeConfig], Generation]:
            if not server:
                stop_all()
                server.append(opened.enter_context(hosted(kind, model, machine, None)))
            return _writer(kind, model, server[0])

        identity = digest(kind.name, model, machine.precision)
        known = kept_replies(identity, replier, machine.batch_size, SHARDS * machine.batch_size)
        return known.ask(requests, cfg, "generate")


@contextmanager
def asking(
    kind: Kind, model: Path, cfg: DecodeConfig, machine: ChatMachine | GenerateMachine
) -> Iterator[Callable[[Any], Generation]]:
    """Give a thread-safe `ask(request)`, for chats `ask(chat)`.

    Nothing is asked twice, so that a busy server is an error of the load test.
    """
    stop_all()
    with hosted(kind, model, machine, retries=0) as server:
        if isinstance(machine, ChatMachine):
            greedy = ChatConfig(temperature=0.0, max_new_tokens=cfg.max_new_tokens)
            yield lambda chat: server.reply(chat, greedy)
        else:
            write = _writer(kind, model, server)
            yield lambda request: write(request, cfg)


def _writer(kind: Kind, model: Path, server: Server) -> Callable[[Request, DecodeConfig], Generation]:
    """Writes answers as the native engine does: the same token ids, the same grammar."""
    from supertiny.model import checkpoint
    from supertiny.model.answer import request_encoder
    from supertiny.model.generate import grammar, text_of

    encode = request_encoder(checkpoint.load_tokenizer(model))
    thinks = bool(read_json(model / "config.json").get(THINKS))

    def write(request: Request, cfg: DecodeConfig) -> Generation:
        held_to = kind.held_to(text_of(grammar(request, thinks))) if cfg.constrained else {}
        return server.write(list(encode(request).ids), cfg.max_new_tokens, held_to)

    return write


@dataclass(frozen=True, slots=True)
class Hosted:
    """One serving engine, with the verbs that every engine has."""

    kind: Kind

    def chat(self, model: Path, machine: ChatMachine) -> AskChats:
        """Give `ask(chats, cfg, progress)`: a reply to each chat."""
        return chats(self.kind, model, machine)

    def generate(
        self, model: Path, requests: Sequence[Request], cfg: DecodeConfig, machine: GenerateMachine
    ) -> list[Generation]:
        """The greedy answer to each request, in the order given."""
        return answers(self.kind, model, requests, cfg, machine)

    def serve(
        self, model: Path, cfg: DecodeConfig, machine: ChatMachine | GenerateMachine
    ) -> AbstractContextManager[Callable[[Any], Generation]]:
        """Give a thread-safe `ask(request)`, for chats `ask(chat)`, to a server of `model`, stopped after it."""
        return asking(self.kind, model, cfg, machine)


def chat(model: Path, machine: ChatMachine) -> AskChats:
    """The verb of engine endpoint: as the native engine's, from `machine.url`; the server has a model of its own."""
    server = Server(chat_address(machine), machine.retries)
    return kept_chats(digest(machine.url, machine.served_model, machine.structured), lambda: server, machine)


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
