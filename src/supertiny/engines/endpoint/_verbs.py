"""What a hosted engine does for the stages: chats, answers in bulk, answers to many clients at once."""

import atexit
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from supertiny.core.config import load_profile
from supertiny.core.files import digest, read_json
from supertiny.engines.endpoint._hosted import Kind, by_content, hosted
from supertiny.engines.endpoint._kept import kept_chats, kept_replies
from supertiny.engines.endpoint._server import Server
from supertiny.launcher.config import ServersConfig
from supertiny.model.ask import (
    AskChats,
    ChatConfig,
    ChatMachine,
    DecodeConfig,
    GenerateMachine,
    Generation,
    Request,
)
from supertiny.prompt.thought import THINKS

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
    from supertiny.model.constrain import _grammar  # its text is what a server takes

    encode = checkpoint.encoder(checkpoint.load_tokenizer(model))
    thinks = bool(read_json(model / "config.json").get(THINKS))

    def write(request: Request, cfg: DecodeConfig) -> Generation:
        held_to = kind.held_to(str(_grammar(request, thinks))) if cfg.constrained else {}
        prompt = encode(request.prompt.shared) + encode(request.prompt.own)
        return server.write(prompt, cfg.max_new_tokens, held_to)

    return write
