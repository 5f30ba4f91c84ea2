"""The sources by name: the one place that knows them all."""

from supertiny.core.config import require
from supertiny.data.dataset import Source
from supertiny.data.home.source import home_assistant
from supertiny.data.massive import massive
from supertiny.data.own import own


def get_source(name: str) -> Source:
    """The source called `name` in params.yaml."""
    require(name in SOURCES, f"dataset.source: {name!r} is none of {', '.join(SOURCES)}")
    return SOURCES[name]


SOURCES: dict[str, Source] = {"home_assistant": home_assistant, "massive": massive, "own": own}
