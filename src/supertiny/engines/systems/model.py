"""A language model made here: it reads the compressed prompt and writes one call (paper App. C)."""

from collections.abc import Sequence
from typing import Any

from supertiny import engines
from supertiny.core.ask import DecodeConfig, GenerateMachine, requests
from supertiny.core.config import load, load_profile
from supertiny.core.prompt import PromptConfig, read_answer
from supertiny.core.records import Example
from supertiny.engines.systems import Places, System
from supertiny.measure.evaluate import Replied
from supertiny.measure.size import model_size


class Model:
    """One model folder, with the pool that it is asked about."""

    def __init__(self, places: Places) -> None:
        self._folder, self._pool = places.model, places.pool

    def answer(self, examples: Sequence[Example]) -> list[Replied]:
        """A call of a function that was not offered is malformed."""
        decode, machine = load("decode", DecodeConfig), load_profile("generate", GenerateMachine)
        prompt, pool = load("prompt", PromptConfig), self._pool
        found = engines.chosen("generate")(self._folder, requests(examples, pool, prompt), decode, machine)
        return [
            Replied(read_answer(one.text, {name: pool[name] for name in example.candidates}, prompt.answer), one)
            for example, one in zip(examples, found, strict=True)
        ]

    def size(self) -> dict[str, Any]:
        """Of the model's folder."""
        return model_size(self._folder)


def open_system(places: Places) -> System:
    """The model in `places.model`."""
    return Model(places)
