"""The system thinking aloud: what it sees, looks up, offers, asks, reads and hands on (paper 3.1, Figure 2)."""

from collections.abc import Iterator
from dataclasses import dataclass

from supertiny.adapter.frames import to_frame
from supertiny.core.calls import Malformed, Pool, answer_text
from supertiny.core.records import Example
from supertiny.data.dataset import Knowledge
from supertiny.online.path import Ask, answered, find, offered, to_request, with_knowledge
from supertiny.prompt.compressed import PromptConfig
from supertiny.retrieve.retrievers import Retriever


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """Everything an answer rests on."""

    pool: Pool
    knowledge: Knowledge
    retriever: Retriever
    num_candidates: int
    prompt: PromptConfig
    ask: Ask


def think(example: Example, mind: Mind) -> Iterator[tuple[str, str]]:
    """(step, what came of it), each as soon as it is known."""
    yield "query", example.query
    yield "context", "\n".join(f"{key}: {value}" for key, value in example.context.items()) or "(none)"
    example = with_knowledge(example, mind.knowledge)
    yield "knowledge", "\n".join(example.knowledge) or "(no term of the query is in the knowledge base)"
    (found,) = find([example], mind.retriever, mind.num_candidates)
    if found.searched_for is not None:
        yield "searched for", found.searched_for
    yield "candidates", "\n".join(f"{score:7.3f}  {name}" for name, score in found.ranked)
    request = to_request(offered(example, found), mind.pool, mind.prompt)
    yield "prompt", request.prompt.shared + request.prompt.own
    generation, reply = answered(request, mind.ask)
    yield "tokens", f"{generation.prompt_tokens} in the prompt, {generation.new_tokens} written"
    yield "answer", generation.text.strip()
    if isinstance(reply, Malformed):
        yield "call", f"none: {reply.fault} ({reply.detail})"
        return
    yield "call", answer_text(reply)
    frame = to_frame(reply, mind.pool)
    slots = "".join(f", {name}={text}" for name, text in frame.slots.items())
    yield "legacy frame", f"domain={frame.domain}, intent={frame.intent}{slots}"
