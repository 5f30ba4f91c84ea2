"""A model that many clients ask at once, in this process: whatever waits is answered as one batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from supertiny.core.crowd import batched
from supertiny.model.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.model.generate import Sampling
from supertiny.model.loaded import Loaded


@contextmanager
def serve(model: Path, cfg: DecodeConfig, machine: GenerateMachine) -> Iterator[Callable[[Request], Generation]]:
    """Give a thread-safe `ask(request)`; batches hold at most `machine.batch_size` requests."""
    loaded = Loaded(model, machine.precision)

    def answers(requests: list[Request]) -> list[Generation]:
        return loaded.answer(requests, Sampling(cfg.max_new_tokens), machine.batch_size, cfg.constrained)

    with batched(answers, machine.batch_size) as ask:
        yield ask
