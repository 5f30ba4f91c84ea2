"""From a query to its call: `steps` shows each to `supertiny ask`, `serve` is the service's (paper Figure 2c)."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from supertiny.baseline.frames import to_frame
from supertiny.core.ask import Generation, Request, requests
from supertiny.core.calls import Answer, Malformed, Pool, answer_text
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig, read_answer, shared_part, too_long
from supertiny.core.records import Example, must_be_writable
from supertiny.data.dataset import Knowledge, lookup
from supertiny.model import checkpoint
from supertiny.retrieval.index import Scored
from supertiny.retrieval.retrievers import EmbeddingRetriever, Retriever, described_by

Ask = Callable[[Request], Generation]


@dataclass(frozen=True, slots=True)
class Found:
    """The functions that may serve a query."""

    ranked: Scored
    """(name, score), the likeliest first"""
    searched_for: str | None
    """the text whose nearest documents these are; None: a classifier's choice"""


def with_knowledge(example: Example, knowledge: Knowledge) -> Example:
    """`example` with what the knowledge base says of the query's terms."""
    return replace(example, knowledge=lookup(example.query, knowledge))


def find(examples: Sequence[Example], retriever: Retriever, k: int) -> list[Found]:
    """The `k` likeliest functions of each example; what is searched for is written once. The ids must differ."""
    if not isinstance(retriever, EmbeddingRetriever):
        return [Found(ranked, None) for ranked in retriever.scored(examples, k)]
    texts = retriever.describe(examples)
    written = described_by(dict(zip((one.id for one in examples), texts, strict=True)))
    ranked = EmbeddingRetriever(retriever.index, written, retriever.instruction).scored(examples, k)
    return [Found(one, text) for one, text in zip(ranked, texts, strict=True)]


def offered(example: Example, pool: Pool, found: Found | None) -> Example:
    """`example` with the functions that were found as its candidates, all of `pool` where nothing was looked for.

    In the order of the pool: so lists of the same functions, and those that begin alike, are one prefix.
    """
    names = {name for name, _ in found.ranked} if found else pool
    return replace(example, candidates=tuple(name for name in pool if name in names))


def counter(models: Iterable[Path]) -> Callable[[str], int]:
    """How many tokens a text has: by the tokenizer of these models that takes most."""
    spell = [checkpoint.encoder(checkpoint.load_tokenizer(model)) for model in models]
    return lambda text: max(len(encode(text)) for encode in spell)


def crowded(functions: Pool, tokens: Callable[[str], int], prompt: PromptConfig) -> str | None:
    """What is wrong with offering all of `functions`; None: they fit into a prompt."""
    shared = shared_part(functions.values(), prompt)
    return too_long(shared, tokens(shared), prompt)


def to_request(example: Example, pool: Pool, prompt: PromptConfig) -> Request:
    """What the model is asked."""
    (request,) = requests([example], pool, prompt)
    return request


def answered(request: Request, ask: Ask) -> tuple[Generation, Answer | Malformed]:
    """What the model writes, read strictly: only a call of a candidate is one."""
    generation = ask(request)
    offered = {function.name: function for function in request.candidates}
    return generation, read_answer(generation.text, offered, request.syntax)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One function pool, and the models that may be asked about it."""

    pool: Pool
    knowledge: Knowledge
    prompt: PromptConfig
    tokens: Callable[[str], int]
    """of a text; thread-safe"""
    find: Callable[[Example], Found] | None
    """who chooses functions of the pool, thread-safe; None: all of them are offered"""
    among: Callable[[Example, Pool], Found] | None
    """the same of tools that a request brings; None: nobody does"""
    models: Mapping[str, Ask]
    """thread-safe; the first is asked where a request names none"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One answer, and how it came about."""

    example: Example
    found: Found | None
    """None where nothing was looked for"""
    request: Request
    generation: Generation
    reply: Answer | Malformed
    pool: Pool
    """the functions that the reply is about"""
    seconds: dict[str, float]
    """of each step"""


def serve(site: Site, model: str, example: Example, tools: Pool | None = None) -> Served:
    """The answer of `model` to `example`, out of `tools` where the request brings them, else out of the pool."""
    seconds: dict[str, float] = {}
    with _timed(seconds, "knowledge"):
        example = with_knowledge(example, site.knowledge)
    pool = site.pool if tools is None or tools == site.pool else tools  # equal ones in the pool's order: its prefix
    look = site.find if pool is site.pool else _among(site, pool)
    found = None
    if look:
        with _timed(seconds, "retrieval"):
            found = look(example)
    example = offered(example, pool, found)
    request = to_request(example, pool, site.prompt)
    with _timed(seconds, "model"):
        generation, reply = answered(request, site.models[model])
    return Served(
        example=example, found=found, request=request, generation=generation, reply=reply, pool=pool, seconds=seconds
    )


def _among(site: Site, tools: Pool) -> Callable[[Example], Found] | None:
    """Who chooses of tools that are more than a prompt holds; those that an answer cannot name are an error."""
    must_be_writable(tools, site.prompt.answer)
    wrong = crowded(tools, site.tokens, site.prompt)
    if not wrong:
        return None
    among = site.among
    if among is None:
        raise UserError(f"tools: {wrong}; offer fewer (a service that was started with --by embedding chooses of them)")
    return lambda example: among(example, tools)


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - started


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything an answer rests on."""

    pool: Pool
    knowledge: Knowledge
    find: Callable[[Example], Found] | None
    """who chooses functions of the pool; None: all of them are offered"""
    prompt: PromptConfig
    ask: Ask


def steps(example: Example, setup: Setup) -> Iterator[tuple[str, str]]:
    """(step, what came of it), each as soon as it is known."""
    yield "query", example.query
    yield "context", "\n".join(f"{key}: {value}" for key, value in example.context.items()) or "(none)"
    example = with_knowledge(example, setup.knowledge)
    yield "knowledge", "\n".join(example.knowledge) or "(no term of the query is in the knowledge base)"
    found = setup.find(example) if setup.find else None
    if found and found.searched_for is not None:
        yield "searched for", found.searched_for
    if found:
        yield "candidates", "\n".join(f"{score:7.3f}  {name}" for name, score in found.ranked)
    else:
        yield "candidates", f"the whole pool, {len(setup.pool)} functions"
    request = to_request(offered(example, setup.pool, found), setup.pool, setup.prompt)
    yield "prompt", request.prompt.shared + request.prompt.own
    generation, reply = answered(request, setup.ask)
    yield "tokens", f"{generation.prompt_tokens} in the prompt, {generation.new_tokens} written"
    yield "answer", generation.text.strip()
    if isinstance(reply, Malformed):
        yield "call", f"none: {reply.fault} ({reply.detail})"
        return
    yield "call", answer_text(reply)
    frame = to_frame(reply, setup.pool)
    slots = "".join(f", {name}={text}" for name, text in frame.slots.items())
    yield "legacy frame", f"domain={frame.domain}, intent={frame.intent}{slots}"
