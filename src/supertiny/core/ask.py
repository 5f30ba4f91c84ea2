"""The nouns between who asks a language model and the engine that answers; many askers before one worker."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from supertiny.core.calls import Function, Pool, Syntax
from supertiny.core.config import require, require_positive
from supertiny.core.prompt import Prompt, PromptConfig, render
from supertiny.core.records import Example

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt, and the functions its answer may call where decoding is constrained."""

    prompt: Prompt
    candidates: tuple[Function, ...]
    syntax: Syntax
    """how a call of one of them is to be written"""


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer and what it cost."""

    text: str
    prompt_tokens: int
    uncached_tokens: int
    """prompt tokens computed for this request (a shared prefix for the first that needs it)"""
    new_tokens: int
    """generated tokens, the end token included"""


@dataclass(frozen=True, slots=True)
class Chat:
    """One conversation that a chat model is to go on with."""

    messages: tuple[tuple[str, str], ...]
    """(role, text), role one of system, user, assistant"""
    schema: str | None = None
    """JSON schema (as JSON) that the reply must follow; None: free text"""
    sample: int = 0
    """which of several sampled replies to the same conversation this one asks for"""


@dataclass(kw_only=True, slots=True)
class DecodeConfig:
    """Section `decode` of params.yaml: how answers are written."""

    constrained: bool
    """only valid calls of the candidates, or a refusal, can be written"""
    max_new_tokens: int
    """an answer is cut there"""

    def __post_init__(self) -> None:
        require_positive(self, "max_new_tokens")


@dataclass(kw_only=True, slots=True)
class ChatConfig:
    """How replies to chats are written."""

    temperature: float
    """0: greedy"""
    max_new_tokens: int
    """a reply is cut there"""

    def __post_init__(self) -> None:
        require(self.temperature >= 0, f"temperature: expected 0 or more, got {self.temperature}")
        require_positive(self, "max_new_tokens")


AskChats = Callable[[Sequence[Chat], ChatConfig, str], list[Generation]]
"""(chats, how to reply, label of the progress bar) -> a reply to each, in the order given"""
STRUCTURED = ("json_schema", "json_object", "none")
"""what a server can hold a reply to"""


@dataclass(kw_only=True, slots=True)
class ChatMachine:
    """Section `chat` of the profile: where the large model's chats are answered."""

    precision: str
    """native engine: auto | float32 | bfloat16"""
    batch_size: int
    """chats answered at once: rows of a batch, or requests in flight"""
    shard: int
    """replies kept at once: what a killed run can lose"""
    url: str | None
    """endpoint engine: base URL of an OpenAI-compatible server, such as http://gpu1:30000/v1"""
    served_model: str | None
    """endpoint engine: the model's name there"""
    key_variable: str | None
    """endpoint engine: environment variable that holds the API key; null: none is sent"""
    retries: int
    """endpoint engine: how often one chat is asked again when the server is busy, away or breaks its schema"""
    timeout_s: float
    """endpoint engine: that one reply may take, seconds"""
    structured: str
    """endpoint engine: what the server can hold a reply to: json_schema | json_object (any JSON) | none"""

    def __post_init__(self) -> None:
        require_positive(self, "batch_size", "shard")
        require(self.retries >= 0, f"retries: expected 0 or more, got {self.retries}")
        require_positive(self, "timeout_s")
        known = ", ".join(STRUCTURED)
        require(self.structured in STRUCTURED, f"structured: expected one of {known}, got {self.structured!r}")


@dataclass(kw_only=True, slots=True)
class GenerateMachine:
    """Section `generate` of the profile."""

    precision: str
    """auto | float32 | bfloat16, of weights and activations"""
    batch_size: int
    """requests answered at once"""

    def __post_init__(self) -> None:
        require_positive(self, "batch_size")


def requests(examples: Sequence[Example], pool: Pool, cfg: PromptConfig) -> list[Request]:
    """Each example as the small model is asked it."""
    return [Request(render(e, pool, cfg), tuple(pool[name] for name in e.candidates), cfg.answer) for e in examples]


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
