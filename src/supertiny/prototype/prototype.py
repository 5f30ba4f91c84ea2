"""Queries become conversations, replies become answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from supertiny.core.ask import AskChats, Chat, Generation
from supertiny.core.calls import Answer, Malformed, Pool
from supertiny.core.chat_prompt import full_chat, parse_full
from supertiny.core.errors import UserError
from supertiny.core.prompt import dialogue
from supertiny.core.records import Example, read_examples
from supertiny.model.encoder import Encoder
from supertiny.prototype.config import PrototypeConfig

Embed = Callable[[Sequence[str]], np.ndarray]
"""texts -> unit vectors [N, D]"""


def remembered(embed: Embed) -> Embed:
    """The same function, that computes the same texts once; some of them with others would be rounded otherwise."""
    known: dict[frozenset[str], dict[str, np.ndarray]] = {}

    def vectors(texts: Sequence[str]) -> np.ndarray:
        if (asked := frozenset(texts)) not in known:
            known[asked] = dict(zip(texts, embed(texts), strict=True))
        return np.stack([known[asked][text] for text in texts])

    return vectors


def nearest(queries: Sequence[Example], expert: Sequence[Example], count: int, embed: Embed) -> list[list[Example]]:
    """For each query the `count` expert examples of highest cosine; the nearest stands last, next to the query."""
    _enough(expert, count)
    scores = embed([dialogue(query) for query in queries]) @ embed([dialogue(one) for one in expert]).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return [[expert[index] for index in reversed(row)] for row in order]


def fixed(queries: Sequence[Example], expert: Sequence[Example], count: int, seed: int) -> list[list[Example]]:
    """The same `count` expert examples for every query, drawn once."""
    _enough(expert, count)
    chosen = Random(seed).sample(list(expert), count)
    return [chosen for _ in queries]


def _enough(expert: Sequence[Example], count: int) -> None:
    if count > len(expert):
        raise UserError(
            f"params.yaml: prototype.num_examples: {count}, but the expert set has {len(expert)}; ask for fewer"
        )


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
        """The full prompt of each query; one without candidates is an error that names it."""
        cfg = self.cfg
        for query in queries:
            if not query.candidates:
                raise UserError(f"example {query.id!r}: field 'candidates': no function is offered")
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
