import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from supertiny.model.batches import MULTIPLE, Branch, Pack, collate

token_ids = st.lists(st.integers(0, 250), min_size=1, max_size=6)
branches = st.lists(st.builds(Branch, token_ids, token_ids), min_size=1, max_size=4).map(tuple)
packs = st.lists(st.builds(Pack, st.lists(st.integers(0, 250), max_size=6), branches), min_size=1, max_size=3)


def test_layout_worked_by_hand():
    batch = collate([Pack([1, 2], (Branch([3], [4, 5]), Branch([6, 7], [8])))], pad_id=0)
    assert batch.ids.shape == (1, MULTIPLE)
    assert batch.ids[0, :9].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 0]
    assert batch.positions[0, :8].tolist() == [0, 1, 2, 3, 4, 2, 3, 4]
    assert batch.predict.nonzero().tolist() == [[0, 2], [0, 3], [0, 6]]
    assert batch.targets.tolist() == [4, 5, 8]
    assert batch.mask[0, 0, 6].nonzero().flatten().tolist() == [0, 1, 5, 6]


def test_padding_sees_itself_alone_so_that_no_softmax_is_empty():
    batch = collate([Pack([1], (Branch([2], [3]),)), Pack([1], (Branch([2, 2], [3, 3]),))], pad_id=0)
    assert batch.mask[0, 0, 4].nonzero().flatten().tolist() == [4]
    assert not batch.predict[0, 3:].any()


@settings(max_examples=25)
@given(packs)
def test_a_branch_in_a_pack_has_the_logits_it_has_alone(tiny_module, groups):
    """The law that lets training share the prefix."""
    together = tiny_module(collate(groups, pad_id=256))
    alone = [
        tiny_module(collate([Pack([], (Branch(pack.prefix + branch.prompt, branch.response),))], pad_id=256))
        for pack in groups
        for branch in pack.branches
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=2e-5, rtol=2e-5)


def test_runs_worked_by_hand():
    """Branches of 3, 3, 6 and 2 tokens: the first two and the last make runs as long as the longest at most."""
    branches = (Branch([3], [4, 5]), Branch([6, 7], [8]), Branch([1] * 5, [2]), Branch([9], [9]))
    tree = collate([Pack([1, 2], branches)], pad_id=0).tree
    assert (tree.prefix, tree.seen) == (2, None)
    assert tree.runs.tolist() == [[2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13], [14, 15, 16, 17, 18, 19]]
    assert tree.own[0].int().tolist() == [
        [1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1],
    ]  # fmt: skip
    assert tree.places[0, :16].tolist() == list(range(16)), "the prefix, then three rows of six"
    assert not tree.own[2, :2, 2:].any(), "what stands behind the end of a run is nobody's"
