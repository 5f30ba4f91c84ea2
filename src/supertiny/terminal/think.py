"""The system thinking aloud: what it sees, looks up, offers, asks, reads and hands on (paper 3.1, Figure 2)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from supertiny.adapter.frames import to_frame
from supertiny.core.calls import Malformed, Pool, answer_text
from supertiny.core.records import Example
from supertiny.data.dataset import Knowledge
from supertiny.data.knowledge import lookup
from supertiny.measure.workload import requests
from supertiny.model.ask import Generation, Request
from supertiny.prompt.compressed import PromptConfig
from supertiny.prompt.thought import read_answer
from supertiny.retrieve.retrievers import EmbeddingRetriever, Retriever, described_by

Generate = Callable[[Sequence[Request]], list[Generation]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """Everything an answer rests on."""

    pool: Pool
    knowledge: Knowledge
    retriever: Retriever
    num_candidates: int
    prompt: PromptConfig
    generate: Generate


def think(example: Example, mind: Mind) -> Iterator[tuple[str, str]]:
    """(step, what came of it), each as soon as it is known."""
    yield "query", example.query
    yield "context", "\n".join(f"{key}: {value}" for key, value in example.context.items()) or "(none)"
    found = lookup(example.query, mind.knowledge)
    yield "knowledge", "\n".join(found) or "(no term of the query is in the knowledge base)"
    example = replace(example, knowledge=found)
    retriever = mind.retriever
    if isinstance(retriever, EmbeddingRetriever):
        (text,) = retriever.describe([example])
        yield "searched for", text
        retriever = EmbeddingRetriever(retriever.index, described_by({example.id: text}), retriever.instruction)
    (ranked,) = retriever.scored([example], mind.num_candidates)
    yield "candidates", "\n".join(f"{score:7.3f}  {name}" for name, score in ranked)
    example = replace(example, candidates=tuple(name for name, _ in ranked))
    (request,) = requests([example], mind.pool, mind.prompt)
    yield "prompt", request.prompt.shared + request.prompt.own
    (generation,) = mind.generate([request])
    yield "tokens", f"{generation.prompt_tokens} in the prompt, {generation.new_tokens} written"
    yield "answer", generation.text.strip()
    reply = read_answer(generation.text, {name: mind.pool[name] for name in example.candidates})
    if isinstance(reply, Malformed):
        yield "call", f"none: {reply.fault} ({reply.detail})"
        return
    yield "call", answer_text(reply)
    frame = to_frame(reply, mind.pool)
    slots = "".join(f", {name}={text}" for name, text in frame.slots.items())
    yield "legacy frame", f"domain={frame.domain}, intent={frame.intent}{slots}"
