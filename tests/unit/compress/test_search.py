"""The search: candidates by hand, budgets kept whatever the model, perplexities of the models that they are of."""

from copy import deepcopy
from itertools import product
from math import exp

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supertiny.compress.config import COUNTS, Budget, Granularity
from supertiny.compress.cut import Importance, measure
from supertiny.compress.search import Counted, Shape, candidates, cut, perplexity, search
from supertiny.core.errors import UserError
from supertiny.model.batches import collate
from supertiny.model.flops import ModelShape, gemm_flops
from tests.unit.compress.conftest import llama_tokenizer, random_model, shrinking
from tests.unit.compress.test_depth import PACKS, logits

TINY = ModelShape(num_layers=4, hidden=4, head_dim=2, num_heads=2, num_kv_heads=1, intermediate=8, vocab=10)
BASE = Counted(TINY, True, 5, 5, 3)
PAIRS = Granularity(hidden=2, inter=4)
WIDE = Granularity(hidden=64, inter=256)


def budget(share, *axes, of="parameters", at_most=None):
    return Budget(of=of, share=share, at_most=at_most, axes=list(axes or ("depth", "width")))


def test_candidates_by_hand():
    """Weights of a block, and of the rest, for (hidden, inter):

    (4, 8): 48 + 96 + 8 = 152 and 44, so 652 in all   (4, 4): 48 + 48 + 8 = 104 and 44
    (2, 8): 24 + 48 + 4 = 76 and 22                   (2, 4): 24 + 24 + 4 = 52 and 22
    """
    assert BASE.parameters(BASE.whole) == 652
    # 521.6: three blocks of the first; four of the others, of which the last is covered
    assert candidates(BASE, budget(0.8), PAIRS) == [Shape(4, 4, 4), Shape(4, 2, 8), Shape(3, 4, 8)]
    assert candidates(BASE, budget(0.8, "depth"), PAIRS) == [Shape(3, 4, 8)]
    assert candidates(BASE, budget(0.8, "width"), PAIRS) == [Shape(4, 4, 4), Shape(4, 2, 8)]
    # 326: one block of the first is too few; two of the second; four of the third are just within
    assert candidates(BASE, budget(0.5), PAIRS) == [Shape(4, 2, 8), Shape(2, 4, 4)]
    assert BASE.parameters(Shape(4, 2, 8)) == 326


def test_the_whole_budget_is_the_whole_model():
    for of, axes in product(COUNTS, (["depth"], ["width"], ["depth", "width"])):
        assert candidates(BASE, budget(1.0, *axes, of=of), PAIRS) == [BASE.whole]


def test_gflops_are_of_a_request_with_nothing_cached():
    assert BASE.count("gflops", BASE.whole) == gemm_flops(TINY, 5, 5, 3) / 1e9
    assert BASE.count("bytes", BASE.whole) == 4 * 652


@pytest.mark.parametrize(("share", "axes"), [(0.5, ["depth"]), (0.1, ["depth", "width"]), (0.1, ["width"])])
def test_a_budget_that_nothing_keeps_is_named(share, axes):
    with pytest.raises(UserError, match=f"at most {share} of the base's parameters along the axes {', '.join(axes)}"):
        candidates(BASE, budget(share, *axes), PAIRS)


@pytest.mark.parametrize("of", COUNTS)
def test_an_absolute_budget_is_the_share_that_it_makes(of):
    whole = BASE.count(of, BASE.whole)
    share = candidates(BASE, budget(0.8, of=of), PAIRS)
    assert candidates(BASE, budget(None, of=of, at_most=0.8 * whole), PAIRS) == share != [BASE.whole]
    assert candidates(BASE, budget(None, of=of, at_most=2 * whole), PAIRS) == [BASE.whole]


def test_an_absolute_budget_that_nothing_keeps_is_named():
    with pytest.raises(UserError, match="at most 1,200 bytes along the axes depth; allow more"):
        candidates(BASE, budget(None, "depth", of="bytes", at_most=1200.0), PAIRS)


@pytest.mark.parametrize(("granularity", "name"), [((3, 4), "hidden: 3"), ((2, 5), "inter: 5")])
def test_a_granularity_that_does_not_divide_is_named(granularity, name):
    steps = Granularity(hidden=granularity[0], inter=granularity[1])
    with pytest.raises(UserError, match=rf"shrink\.granularity\.{name} does not divide"):
        candidates(BASE, budget(0.8), steps)
    assert candidates(BASE, budget(0.8, "depth"), steps)  # where no channel goes it does not matter


@given(
    base=st.builds(
        Counted,
        st.builds(
            ModelShape,
            num_layers=st.integers(1, 9),
            hidden=st.integers(1, 4).map(lambda n: 8 * n),
            head_dim=st.sampled_from([2, 4, 8]),
            num_heads=st.sampled_from([2, 4]),
            num_kv_heads=st.sampled_from([1, 2]),
            intermediate=st.integers(1, 4).map(lambda n: 16 * n),
            vocab=st.integers(2, 99),
            qkv_bias=st.booleans(),
        ),
        st.booleans(),
        st.integers(40, 90),
        st.integers(1, 40),
        st.integers(1, 9),
    ),
    share=st.floats(0.05, 1),
    of=st.sampled_from(COUNTS),
    axes=st.sampled_from([["depth"], ["width"], ["depth", "width"]]),
)
def test_every_budget_is_kept_and_no_candidate_is_a_waste(base, share, of, axes):
    limit, whole = share * base.count(of, base.whole), base.whole
    try:
        found = candidates(base, budget(share, *axes, of=of), Granularity(hidden=8, inter=16))
    except UserError:
        found = []
        smallest = Shape(
            -(-whole.layers // 2) if "depth" in axes else whole.layers,
            8 if "width" in axes else whole.hidden,
            16 if "width" in axes else whole.inter,
        )
        assert base.count(of, smallest) > limit
    for one in found:
        assert base.count(of, one) <= limit and 2 * one.layers >= whole.layers
        assert "depth" in axes or one.layers == whole.layers
        assert "width" in axes or (one.hidden, one.inter) == (whole.hidden, whole.inter)
        deeper = Shape(one.layers + 1, one.hidden, one.inter)
        assert one.layers == whole.layers or base.count(of, deeper) > limit
        assert not any(other.covers(one) for other in found)


def counted(model):
    return Counted(ModelShape.from_config(model.config), model.config.tie_word_embeddings, 5, 5, 3)


@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_counted_as_torch_counts_them(bpe, tied):
    model = random_model(bpe, tied)
    base, batches = counted(model), [collate(PACKS, 0)]
    importance = measure(model, batches)
    for shape in (base.whole, Shape(3, 20, 11)):
        one = deepcopy(model)
        cut(one, importance, shape)
        assert base.parameters(shape) == one.num_parameters()


def test_each_row_is_of_the_model_that_is_cut_so(bpe):
    model = random_model(bpe)
    batches, before = [collate(PACKS[:1], 0), collate(PACKS[1:], 0)], logits(model)
    importance, shapes = measure(model, batches), [Shape(3, 32, 48), Shape(4, 16, 24), Shape(2, 24, 12)]
    steps = Granularity(hidden=8, inter=12)
    cfg = shrinking(granularity=steps, groups=steps)
    rows = search(model, importance, shapes, batches, counted(model), cfg)
    assert [row.shape for row in rows] == shapes and torch.equal(logits(model), before)
    for row in rows:
        one = deepcopy(model)
        cut(one, importance, row.shape, cfg.groups, cfg.own_inter)
        assert row.perplexity == pytest.approx(perplexity(one, batches), rel=0.02)  # bfloat16, where there is one
    assert len({row.perplexity for row in rows}) == 3


def test_nothing_cut_is_the_identity(bpe):
    """With no channel to go the granularity need not divide them."""
    model = random_model(bpe)
    before, importance = logits(model), measure(model, [collate(PACKS, 0)])
    cut(model, importance, Shape(4, 32, 48), WIDE)
    assert torch.equal(logits(model), before)


def test_perplexity_is_of_response_tokens():
    """The oracle: every branch on its own; and of a model that knows nothing it is the size of its vocabulary."""
    model, found = random_model(llama_tokenizer()), []
    for pack in PACKS:
        for branch in pack.branches:
            ids, end = pack.prefix + branch.prompt + branch.response, len(branch.response)
            log_p = logits(model, torch.tensor([ids]))[0].log_softmax(-1)
            found += [-float(log_p[at - 1, ids[at]]) for at in range(len(ids) - end, len(ids))]
    batches = [collate([pack], 0) for pack in PACKS]
    assert perplexity(model, batches) == pytest.approx(exp(sum(found) / len(found)), rel=1e-4)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    assert perplexity(model, batches) == pytest.approx(model.config.vocab_size, rel=1e-4)


@pytest.mark.parametrize(("own", "gates"), [(True, [[2, 3], [0, 1]]), (False, [[0, 1], [0, 1]])])
def test_feed_forward_channels_of_each_block_or_of_all(own, gates):
    """Blocks 0 and 2 of three stay; over all blocks, the dropped one too, channels 0 and 1 have the most."""
    model = random_model(llama_tokenizer(), layers=3, intermediate_size=4)
    before = [block.mlp.gate_proj.weight for block in model.model.layers]
    inter = [[0.1, 0.2, 0.3, 0.4], [0.9, 0.8, 0.0, 0.0], [0.6, 0.5, 0.2, 0.1]]
    cut(model, Importance([0.5, 0.1, 0.5], [1.0] * 32, inter, 1), Shape(2, 32, 2), own_inter=own)
    for block, old, kept in zip(model.model.layers, (before[0], before[2]), gates, strict=True):
        assert torch.equal(block.mlp.gate_proj.weight, old[kept])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: budget(0.8, of="watts"), "of: expected one of parameters, gflops, bytes, got 'watts'"),
        (lambda: budget(0.0), "share: expected more than 0"),
        (lambda: budget(1.2), "share: .* at most 1"),
        (lambda: budget(None), "share, at_most: expected a number for one and null for the other, got None, None"),
        (lambda: budget(0.8, at_most=9.0), "share, at_most: expected a number for one"),
        (lambda: budget(None, at_most=0.0), "at_most: expected more than 0"),
        (lambda: budget(0.8, "height"), "axes: expected some of depth, width"),
        (lambda: Budget(of="bytes", share=0.5, at_most=None, axes=[]), "axes"),
        (lambda: Granularity(hidden=0, inter=1), "hidden: expected more than 0"),
        (lambda: Granularity(hidden=1, inter=0), "inter: expected more than 0"),
        (lambda: shrinking(calibration_packs=0), "calibration_packs"),
        (lambda: shrinking(groups=Granularity(hidden=1, inter=2)), "groups.inter: expected a divisor of .* 1, got 2"),
        (lambda: shrinking(score_packs=25), "score_packs: expected 1 to 24"),
        (lambda: shrinking(score_packs=0), "score_packs: expected 1 to 24"),
        (lambda: shrinking(share=1.2), "share: .* at most 1"),
        (lambda: shrinking(axes=["height"]), "axes: expected some of depth, width"),
        (lambda: shrinking(blocks=0.0), "blocks: expected more than 0 and at most 1, got 0.0"),
        (lambda: shrinking(channels=1.5), "channels: expected more than 0 and at most 1, got 1.5"),
        (lambda: shrinking(blocks=0.5), "blocks: must be 1 where of gives the shape"),
        (lambda: shrinking(of=None, share=None, channels=0.5, init="a=1"), "channels: must be 1 where init gives"),
        (lambda: shrinking(init="hidden_size=32"), "init, of: .*give one of them"),
        (lambda: shrinking(of=None), "of: expected a count for share or at_most"),
        (lambda: shrinking(of=None, share=None, at_most=9.0), "of: expected a count for share or at_most"),
    ],
)
def test_parameters_are_checked(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_a_budget_is_there_where_something_is_counted():
    assert shrinking(share=None, at_most=9.0).budget == budget(None, at_most=9.0)
    assert shrinking(of=None, share=None, blocks=0.5).budget is None
