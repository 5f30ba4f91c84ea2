"""The traditional system: a domain classifier, then the domain's intent and slot model (paper 3.1)."""

from collections.abc import Sequence
from typing import Any

from supertiny.baseline.parts import DOMAIN, frame_folders
from supertiny.baseline.system import Traditional
from supertiny.core.config import load
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example
from supertiny.engines.systems import Places, System
from supertiny.measure.evaluate import Replied
from supertiny.measure.size import cascade_size


class Encoders:
    """All encoders of a baseline folder."""

    def __init__(self, places: Places) -> None:
        self._folder = places.model
        self._system = Traditional(places.model, places.pool, load("prompt", PromptConfig).history_turns)

    def answer(self, examples: Sequence[Example]) -> list[Replied]:
        """Each domain's encoder reads its texts together."""
        return [Replied(one.reply, one.generation, one.passes) for one in self._system.answer(examples, "answer")]

    def size(self) -> dict[str, Any]:
        """Of the classifier, which reads every query, and of the domains' models, of which one reads it too."""
        return cascade_size([[self._folder / DOMAIN], frame_folders(self._folder)])


def open_system(places: Places) -> System:
    """The encoders in `places.model`."""
    return Encoders(places)
