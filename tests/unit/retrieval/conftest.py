"""A pool of four functions, and an embedding whose cosines can be worked out by hand."""

import numpy as np
import pytest

from supertiny.core.calls import Function, Parameter
from supertiny.retrieval.index import in_words

WORDS = ("turn", "on", "off", "light", "fan", "lock", "door", "play", "music")


@pytest.fixture
def pool():
    functions = [
        Function("turn_on_light", "Turns on a light", {"name": Parameter("string", "Name of the light")}, "light"),
        Function("turn_off_light", "Turns off a light", {}, "light"),
        Function("lock_door", "Locks a door", {}, "lock"),
        Function("play_music", "", {}, "media"),
    ]
    return {function.name: function for function in functions}


@pytest.fixture
def embed():
    """Counts of WORDS, as unit vectors; a text without any of them is (1, 1, ...) / 3."""

    def vectors(texts):
        counts = [[in_words(text).split().count(word) for word in WORDS] for text in texts]
        rows = np.array([row if any(row) else [1] * len(WORDS) for row in counts], dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return vectors
