"""Scores: all of them from one pass, the same after a round trip, and of the model they claim to be of."""

import json

import pytest
import torch

from supertiny.compress.cut import layer_importance
from supertiny.compress.importance import Importance, measure, read_importance, write_importance
from supertiny.core.errors import UserError
from supertiny.model.batches import collate
from tests.unit.compress.conftest import random_model
from tests.unit.compress.test_depth import PACKS, logits

SCORES = Importance([0.5, 0.1], [1.25, 0.5, 2.0], [[0.25], [0.5]], 7)


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


def test_what_is_written_is_read(tmp_path):
    write_importance(tmp_path / "scores.json", SCORES)
    assert read_importance(tmp_path / "scores.json") == SCORES


BROKEN = {
    "hidden": [None],
    "layers": [["1"], [0.5]],
    "inter": [[[True]], [0.5], []],
    "tokens": [1.5],
    "x": [1],
}


@pytest.mark.parametrize("change", [{name: value} for name, values in BROKEN.items() for value in values])
def test_other_files_are_refused_by_name(tmp_path, change):
    write_importance(tmp_path / "scores.json", SCORES)
    value = json.loads((tmp_path / "scores.json").read_text())
    (tmp_path / "scores.json").write_text(json.dumps(value | change))
    with pytest.raises(UserError, match=r"scores\.json: expected the numbers"):
        read_importance(tmp_path / "scores.json")


def test_scores_of_another_model_are_refused(bpe):
    model = random_model(bpe, layers=2)
    measure(model, [collate(PACKS, 0)]).must_be_of(model.config)
    with pytest.raises(UserError, match=r"\(2, 3, 1\), the base has \(2, 32, 48\)"):
        SCORES.must_be_of(model.config)
