"""A pool of four functions, and queries that need them."""

import numpy as np
import pytest

from supertiny.core.calls import Call, Function, Parameter
from supertiny.core.records import Example


@pytest.fixture
def pool():
    functions = [
        Function("turn_on_light", "Turns on a light", {"name": Parameter("string")}),
        Function("start_fan", "Starts a fan"),
        Function("lock_door", "Locks\na door"),
        Function("play_music", ""),
    ]
    return {function.name: function for function in functions}


@pytest.fixture
def need():
    def make(number, name, **more):
        return Example(id=f"{number}", query=f"query {number}", answers=(Call(name),), **more)

    return make


@pytest.fixture
def embed():
    """How often each of a few words stands in a text, as unit vectors."""

    def vectors(texts):
        words = ("light", "fan", "lock", "door", "music")
        rows = np.array([[text.count(word) for word in words] + [1] for text in texts], dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return vectors
