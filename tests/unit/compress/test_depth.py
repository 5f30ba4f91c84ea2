"""Depth pruning: the score by hand and by an oracle, and models that equal those made with fewer blocks."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from supertiny.compress.cut import keep_layers, layer_importance, least_important
from supertiny.core.errors import UserError
from supertiny.model.batches import Branch, Pack, collate
from tests.unit.compress.conftest import qwen2_tokenizer, random_model

IDS = torch.tensor([[5, 9, 2, 7, 30, 4]])
PACKS = [
    Pack([5, 6, 7, 8], (Branch([9, 10], [11, 12]), Branch([13], [14, 15, 16]))),
    Pack([20, 21], (Branch([22], [23]),)),
]


@pytest.fixture
def model(bpe):
    return random_model(bpe)


def logits(model, ids=IDS):
    with torch.inference_mode():
        return model(ids).logits


class Turned(nn.Module):
    """A block that turns every pair of channels by an angle."""

    def __init__(self, degrees):
        super().__init__()
        angle = torch.deg2rad(torch.tensor(float(degrees)))
        self.matrix = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])

    def forward(self, hidden_states, **_):
        return (hidden_states.unflatten(-1, (-1, 2)) @ self.matrix).flatten(-2)


def test_importance_of_rotations_by_hand(model):
    """Every vector turns by 0, 60, 90, 180 degrees: cosines 1, 1/2, 0, -1."""
    model.model.layers = nn.ModuleList(Turned(degrees) for degrees in (0, 60, 90, 180))
    scores = layer_importance(model, [collate(PACKS, 0)])
    assert scores == pytest.approx([0, 0.5, 1, 2], abs=1e-5)


def test_importance_is_that_of_each_branch_alone(model):
    """The oracle: hidden states of prefix + branch on its own; every token of a pack counts once, padding never."""
    cosines = [[] for _ in model.model.layers]
    for pack in PACKS:
        for number, branch in enumerate(pack.branches):
            ids = torch.tensor([pack.prefix + branch.prompt + branch.response])
            with torch.inference_mode():
                # the last of hidden_states stands behind the final norm: look past it
                norm, model.model.norm = model.model.norm, nn.Identity()
                states = model.model(ids, output_hidden_states=True).hidden_states
                model.model.norm = norm
            start = 0 if number == 0 else len(pack.prefix)
            for index in range(len(cosines)):
                cosines[index] += cosine_similarity(states[index], states[index + 1], dim=-1)[0, start:].tolist()
    expected = [1 - sum(found) / len(found) for found in cosines]
    together = layer_importance(model, [collate(PACKS, 0)])
    assert together == pytest.approx(expected, abs=1e-5)
    assert layer_importance(model, [collate([pack], 3) for pack in PACKS]) == pytest.approx(together, abs=1e-5)
    assert max(together) - min(together) > 0.01


def test_measuring_leaves_no_trace(model):
    before = logits(model)
    layer_importance(model, [collate(PACKS, 0)])
    assert torch.equal(logits(model), before)
    assert not any(block._forward_hooks for block in model.model.layers)


def test_no_text_is_an_error(model):
    with pytest.raises(UserError, match="no text"):
        layer_importance(model, [])


def test_keeping_all_is_the_identity(model):
    before = logits(model)
    keep_layers(model, range(4))
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("kept", [[0, 1, 3], [1, 2], [3]])
def test_dropping_blocks_equals_the_hand_made_model(bpe, model, kept):
    """A model of fewer blocks, given the weights of the kept ones by their names."""
    made = random_model(bpe, layers=len(kept), seed=1)
    renamed = {f"model.layers.{old}.": f"model.layers.{new}." for new, old in enumerate(kept)}
    weights = {}
    for name, weight in model.state_dict().items():
        prefix = name[: name.index(".", len("model.layers.")) + 1] if name.startswith("model.layers.") else None
        if prefix is None or prefix in renamed:
            weights[name.replace(prefix, renamed[prefix]) if prefix else name] = weight
    made.load_state_dict(weights)
    keep_layers(model, kept)
    assert torch.equal(logits(model), logits(made))
    assert model.config.num_hidden_layers == len(kept)


def test_dropping_twice_is_dropping_once(model):
    once = deepcopy(model)
    keep_layers(model, [0, 2, 3])
    keep_layers(model, [0, 2])
    keep_layers(once, [0, 3])
    assert torch.equal(logits(model), logits(once))


def test_sliding_blocks_stay_sliding():
    """Qwen2, blocks 2 and 3 of four see two tokens back; without block 1 they are blocks 1 and 2, and window from 1."""
    bpe = qwen2_tokenizer()
    model = random_model(bpe, use_sliding_window=True, sliding_window=2, max_window_layers=2)
    keep_layers(model, [0, 2, 3])
    made = random_model(bpe, layers=3, seed=1, use_sliding_window=True, sliding_window=2, max_window_layers=1)
    made.load_state_dict(model.state_dict())
    assert torch.equal(logits(model), logits(made))
    assert model.config.layer_types == made.config.layer_types == ["full_attention"] + ["sliding_attention"] * 2
    assert model.config.max_window_layers == 1


@pytest.mark.parametrize("kept", [[], [1, 0], [0, 0], [4], [-1]])
def test_blocks_that_are_not_there_are_named(model, kept):
    with pytest.raises(UserError, match="from 0 to 3"):
        keep_layers(model, kept)


@pytest.mark.parametrize("num", [-1, 3])
def test_at_least_one_block_stays(num):
    with pytest.raises(UserError, match="at least one must stay"):
        least_important([0.1, 0.2, 0.3], num)


def test_ties_go_to_the_earlier_block():
    assert least_important([0.2, 0.1, 0.2, 0.1], 3) == [0, 1, 3]
    assert least_important([0.2, 0.1], 0) == []
