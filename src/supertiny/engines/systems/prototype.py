"""The prototype: the large model with its full prompt (paper 3.1)."""

from collections.abc import Sequence
from typing import Any

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import load, load_profile, seed
from supertiny.core.records import Example
from supertiny.engines.systems import Places, System
from supertiny.measure.evaluate import Replied
from supertiny.measure.size import model_size
from supertiny.prototype.config import PrototypeConfig
from supertiny.prototype.prototype import parsed, prototype


class Prototype:
    """The large model, its in-context examples and what finds them."""

    def __init__(self, places: Places) -> None:
        self._llm, self._pool = places.model, places.pool
        chat = engines.chosen("chat")(places.model, load_profile("chat", ChatMachine))
        cfg = load("prototype", PrototypeConfig)
        self._asks = prototype(places.encoder, places.data / "expert.jsonl", places.pool, chat, cfg, seed())

    def answer(self, examples: Sequence[Example]) -> list[Replied]:
        """Every reply that was ever given is kept."""
        found = self._asks.answer(examples, "prototype")
        return [Replied(*pair) for pair in zip(parsed(examples, found, self._pool), found, strict=True)]

    def size(self) -> dict[str, Any]:
        """Of the large model."""
        return model_size(self._llm)


def open_system(places: Places) -> System:
    """The large model in `places.model`, with expert examples as the encoder finds them."""
    return Prototype(places)
