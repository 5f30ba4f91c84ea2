"""One worker for many askers: whatever waits is answered as one batch."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@contextmanager
def batched(answers: Callable[[list[Q]], list[A]], batch_size: int) -> Iterator[Callable[[Q], A]]:
    """Give a thread-safe `ask(question)`; `answers` is called in one thread, with at most `batch_size` at once.

    What `answers` raises is raised to everyone of that batch, and the next batch is answered as if nothing were.
    """
    queue: SimpleQueue[tuple[Q, Future[A]] | None] = SimpleQueue()

    def ask(question: Q) -> A:
        answer: Future[A] = Future()
        queue.put((question, answer))
        return answer.result()

    worker = Thread(target=_work, args=(queue, answers, batch_size), daemon=True)
    worker.start()
    try:
        yield ask
    finally:
        queue.put(None)
        worker.join()


def _work(
    queue: "SimpleQueue[tuple[Q, Future[A]] | None]", answers: Callable[[list[Q]], list[A]], batch_size: int
) -> None:
    while (first := queue.get()) is not None:
        batch = [first]
        while len(batch) < batch_size and not queue.empty():
            item = queue.get()
            if item is None:
                queue.put(None)
                break
            batch.append(item)
        try:
            found = answers([question for question, _ in batch])
        except Exception as error:  # every asker must hear of it
            for _, answer in batch:
                answer.set_exception(error)
        else:
            for (_, answer), one in zip(batch, found, strict=True):
                answer.set_result(one)
