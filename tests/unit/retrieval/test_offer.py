"""Candidates for queries that bring none."""

from supertiny.core.records import Example
from supertiny.retrieval.retrievers import offered


def test_only_rows_without_candidates_get_the_nearest_functions(pool, embed):
    own = Example(id="1", query="turn on the light", candidates=("play_music",))
    bare = Example(id="2", query="lock the door")
    found = offered([own, bare], pool, lambda: embed, "description", 2)
    assert found[0] is own and [row.id for row in found] == ["1", "2"]
    assert found[1].candidates[0] == "lock_door" and len(found[1].candidates) == 2


def test_no_encoder_is_opened_where_every_row_has_candidates(pool):
    rows = [Example(id="1", query="x", candidates=("play_music",))]

    def never():
        raise AssertionError

    assert offered(rows, pool, never, "description", 2) == rows
