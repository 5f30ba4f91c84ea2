"""A model that many clients ask at once, in this process: whatever waits is answered as one batch."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from supertiny.model.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.model.generate import Sampling
from supertiny.model.loaded import Loaded

Waiting = tuple[Request, "Future[Generation]"]
Answers = Callable[[list[Request]], list[Generation]]


@contextmanager
def serve(model: Path, cfg: DecodeConfig, machine: GenerateMachine) -> Iterator[Callable[[Request], Generation]]:
    """Give a thread-safe `ask(request)`; batches hold at most `machine.batch_size` requests."""
    loaded = Loaded(model, machine.precision)

    def answers(requests: list[Request]) -> list[Generation]:
        return loaded.answer(requests, Sampling(cfg.max_new_tokens), machine.batch_size, cfg.constrained)

    queue: SimpleQueue[Waiting | None] = SimpleQueue()

    def ask(request: Request) -> Generation:
        answer: Future[Generation] = Future()
        queue.put((request, answer))
        return answer.result()

    worker = Thread(target=_work, args=(queue, answers, machine.batch_size), daemon=True)
    worker.start()
    try:
        yield ask
    finally:
        queue.put(None)
        worker.join()


def _work(queue: "SimpleQueue[Waiting | None]", answers: Answers, batch_size: int) -> None:
    while (first := queue.get()) is not None:
        batch = [first]
        while len(batch) < batch_size and not queue.empty():
            item = queue.get()
            if item is None:
                queue.put(None)
                break
            batch.append(item)
        try:
            generations = answers([request for request, _ in batch])
        except Exception as error:  # every client must hear of it
            for _, answer in batch:
                answer.set_exception(error)
        else:
            for (_, answer), generation in zip(batch, generations, strict=True):
                answer.set_result(generation)
