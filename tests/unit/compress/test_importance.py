"""Scores: all of them from one pass, however the texts are batched."""

import pytest
import torch

from supertiny.compress.cut import layer_importance, measure
from supertiny.model.batches import collate
from tests.unit.compress.conftest import random_model
from tests.unit.compress.test_depth import PACKS, logits


def test_one_pass_measures_all_and_leaves_no_trace(bpe, monkeypatch):
    model = random_model(bpe)
    before, batch, passes = logits(model), collate(PACKS, 0), []
    alone = layer_importance(model, [batch])
    model.model.register_forward_hook(lambda *_: passes.append(1))
    found = measure(model, [batch])
    assert len(passes) == 1 and found.layers == alone
    assert (len(found.hidden), *map(len, found.inter)) == (32, 48, 48, 48, 48)
    assert torch.equal(logits(model), before)
    assert not any(module._forward_hooks for module in model.model.layers.modules())


def test_scores_do_not_depend_on_how_texts_are_batched(bpe):
    model = random_model(bpe)
    together, apart = measure(model, [collate(PACKS, 0)]), measure(model, [collate([pack], 3) for pack in PACKS])
    assert together.hidden == pytest.approx(apart.hidden, abs=1e-5)
    assert together.inter == [pytest.approx(block, abs=1e-5) for block in apart.inter]
    assert together.tokens == apart.tokens
