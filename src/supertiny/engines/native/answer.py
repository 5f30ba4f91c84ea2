"""Answers in this process: batched greedy decoding by transformers, constrained by xgrammar."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from supertiny.core.ask import (
    Chat,
    ChatConfig,
    ChatMachine,
    DecodeConfig,
    GenerateMachine,
    Generation,
    Request,
    batched,
)
from supertiny.core.files import digest
from supertiny.model.answer import Loaded, Replies, identity
from supertiny.model.generate import Encoded, Sampling


def generate(model: Path, requests: Sequence[Request], cfg: DecodeConfig, machine: GenerateMachine) -> list[Generation]:
    """The greedy answer to each request, in the order given."""
    sampling = Sampling(cfg.max_new_tokens)
    return Loaded(model, machine.precision).answer(
        requests, sampling, machine.batch_size, cfg.constrained, progress="generate"
    )


def chat(model: Path, machine: ChatMachine) -> Callable[[Sequence[Chat], ChatConfig, str], list[Generation]]:
    """Give `ask(chats, cfg, progress)`: a reply to each chat; the same chats are never asked again."""
    loaded: list[Loaded] = []

    def answer(chats: Sequence[Chat], cfg: ChatConfig) -> list[Generation]:
        if not loaded:
            loaded.append(Loaded(model, machine.precision))
        seeds = [int(digest(one)[:8], 16) for one in chats]
        sampling = Sampling(cfg.max_new_tokens, cfg.temperature, seeds)
        return loaded[0].answer(chats, sampling, machine.batch_size, constrained=any(one.schema for one in chats))

    return Replies(identity(model, machine, "native"), answer, machine.shard).ask


@contextmanager
def serve(model: Path, cfg: DecodeConfig, machine: GenerateMachine) -> Iterator[Callable[[Request], Generation]]:
    """Give a thread-safe `ask(request)`; batches hold at most `machine.batch_size` requests."""
    loaded = Loaded(model, machine.precision, of_clients=True)

    def answers(asked: list[tuple[Request, Encoded]]) -> list[Generation]:
        requests, prompts = zip(*asked, strict=True)
        sampling = Sampling(cfg.max_new_tokens)
        return loaded.answer(requests, sampling, machine.batch_size, cfg.constrained, prompts=prompts)

    with batched(answers, machine.batch_size) as ask:
        # encoded by who asks: a prompt that is too long fails no one else's
        yield lambda request: ask((request, loaded.encode(request, cfg.max_new_tokens)))
