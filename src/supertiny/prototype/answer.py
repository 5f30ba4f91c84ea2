"""Queries become conversations, replies become answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from supertiny.core.calls import Answer, Malformed, Pool
from supertiny.core.errors import UserError
from supertiny.core.records import Example, read_examples
from supertiny.model.ask import AskChats, Chat, Generation
from supertiny.model.encode import Encoder
from supertiny.prototype.config import PrototypeConfig
from supertiny.prototype.prompt import full_chat, parse_full
from supertiny.prototype.shelf import Embed, fixed, nearest, remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototype:
    """The large model with all it is shown."""

    pool: Pool
    expert: Sequence[Example]
    embed: Embed
    ask: AskChats
    cfg: PrototypeConfig
    seed: int

    def chats(self, queries: Sequence[Example]) -> list[Chat]:
        """The full prompt of each query."""
        cfg = self.cfg
        seen = [query if cfg.knowledge else replace(query, knowledge=()) for query in queries]
        if cfg.examples == "fixed":
            shown = fixed(seen, self.expert, cfg.num_examples, self.seed)
        else:
            shown = nearest(seen, self.expert, cfg.num_examples, self.embed)
            shown = [row[::-1] for row in shown] if cfg.examples == "nearest_first" else shown
        return [
            full_chat(query, examples, self.pool, cfg.thought, cfg.documents, cfg.constrained)
            for query, examples in zip(seen, shown, strict=True)
        ]

    def answer(self, queries: Sequence[Example], progress: str) -> list[Generation]:
        """The reply to each query, with what it cost."""
        for query in queries:
            if not query.candidates:
                raise UserError(f"example {query.id!r}: field 'candidates': no function is offered")
        return self.ask(self.chats(queries), self.cfg.chat, progress)


def prototype(encoder: Path, expert: Path, pool: Pool, ask: AskChats, cfg: PrototypeConfig, seed: int) -> Prototype:
    """The prototype with the in-context examples of file `expert`, compared by the encoder in folder `encoder`."""
    embed = remembered(Encoder(encoder).embed)
    return Prototype(pool=pool, expert=read_examples(expert, pool), embed=embed, ask=ask, cfg=cfg, seed=seed)


def parsed(queries: Sequence[Example], generations: Sequence[Generation], pool: Pool) -> list[Answer | Malformed]:
    """Each reply read strictly against the functions its query was offered."""
    return [
        parse_full(found.text, {name: pool[name] for name in query.candidates})
        for query, found in zip(queries, generations, strict=True)
    ]


def row(query: Example, generation: Generation) -> dict[str, Any]:
    """One answered query as the prototype's file holds it."""
    return {
        "id": query.id,
        "candidates": list(query.candidates),
        "written": generation.text,
        "prompt_tokens": generation.prompt_tokens,
        "uncached_tokens": generation.uncached_tokens,
        "new_tokens": generation.new_tokens,
    }
