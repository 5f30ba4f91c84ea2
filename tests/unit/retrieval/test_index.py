"""The index ranks by cosine, can grow, and comes back from its folder as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Function
from supertiny.core.errors import UserError
from supertiny.retrieval.index import FunctionIndex


def test_cosines_by_hand(pool, embed):
    """Documents by name: (turn on light), (turn off light), (lock door), (play music); the query has turn, on.

    cos = 2 / sqrt(2 * 3) = .8165 and 1 / sqrt(2 * 3) = .4082; the others share nothing and stand in the pool's order.
    """
    (found,) = FunctionIndex(embed, pool.values(), "name").search(embed(["turn it on"]))
    assert [name for name, _ in found] == ["turn_on_light", "turn_off_light", "lock_door", "play_music"]
    assert [score for _, score in found] == pytest.approx([0.8165, 0.4082, 0, 0], abs=1e-4)


@given(st.data())
def test_search_is_a_sort_by_inner_product(data):
    """The oracle: numpy's stable sort; small integers, so that ties are exact and frequent."""
    rows = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    documents = np.array(data.draw(st.lists(rows, min_size=1, max_size=12)), dtype=np.float32)
    vectors = np.array(data.draw(st.lists(rows, min_size=1, max_size=4)), dtype=np.float32)
    k = data.draw(st.integers(1, 14))
    functions = [Function(f"f{number:02}", "") for number in range(len(documents))]
    index = FunctionIndex(lambda texts: documents[: len(texts)], functions, "name")
    for vector, found in zip(vectors, index.search(vectors, k), strict=True):
        order = np.argsort(-(documents @ vector), kind="stable")[:k]
        assert [name for name, _ in found] == [functions[at].name for at in order]


def test_functions_added_one_by_one_are_found_as_if_they_had_been_there(pool, embed):
    grown = FunctionIndex(embed, (), "description")
    assert grown.search(embed(["light"])) == [[]]
    for function in pool.values():
        grown.add(function)
    vectors = embed(["lights on", "door", "music please"])
    assert grown.search(vectors) == FunctionIndex(embed, pool.values(), "description").search(vectors)


def test_faults_are_named(pool, embed):
    index = FunctionIndex(embed, pool.values(), "name")
    with pytest.raises(UserError, match="'lock_door' is already in the index"):
        index.add(Function("unlock", ""), pool["lock_door"])
    assert len(index.names) == len(index.search(embed(["x"]))[0]) == 4
    with pytest.raises(UserError, match="9 dimensions, the query has 2"):
        index.search(np.ones((1, 2), dtype=np.float32))
