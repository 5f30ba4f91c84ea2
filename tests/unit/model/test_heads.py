"""Heads on an encoder: the loss by hand, and scores that neither batching nor a folder changes."""

from math import log

import pytest
import torch

from supertiny.core.errors import UserError
from supertiny.model import encoder
from supertiny.model.config import FitConfig, TrainMachine
from supertiny.model.encoder import NONE, HeadedEncoder, Labelled, TextBatch, collate, load_headed, loss, mean_pooled
from supertiny.model.train import Run, fit

TEXTS = ["turn on the light", "off", "lock the front door now"]


@pytest.fixture
def model(tiny_folder):
    torch.manual_seed(0)
    return HeadedEncoder(tiny_folder, ["light", "lock"], ["O", "B", "I"]).eval()


def batch_of(targets, tags):
    ids = torch.zeros(len(tags), len(tags[0]), dtype=torch.long)
    return TextBatch(ids, torch.ones_like(ids), torch.tensor(targets), torch.tensor(tags))


def logs(*rows):
    """Scores whose softmax are these probabilities."""
    return torch.tensor(rows, dtype=torch.float64).log()


def test_label_loss_is_a_sum_of_cross_entropies():
    """-log .25 - log .5 = log 8."""
    batch = batch_of([0, 1], [[NONE], [NONE]])
    assert loss({"label": logs([0.25, 0.75], [0.5, 0.5])}, batch).item() == pytest.approx(log(8))


def test_tags_add_theirs_one_by_one():
    """Text 1: labels log 2, tags -log .5 and -log .125 (the third is not learned), log 16.

    Text 2: label log 2, one tag of probability .2, log 5. Text 3 has no tags: its label's log 2 alone. Sum: log 640.
    """
    batch = batch_of([0, 0, 1], [[0, 1, NONE], [NONE, NONE, 1], [NONE, NONE, NONE]])
    half = [0.5, 0.5]
    tag = torch.stack([logs(half, [0.875, 0.125], [0.9, 0.1]), logs(half, half, [0.8, 0.2]), logs(half, half, half)])
    assert loss({"label": logs(half, half, half), "tag": tag}, batch).item() == pytest.approx(log(640))


def test_collate_pads_ids_and_tags(tokenizer):
    """Tokens are bytes: `off` has three, `on` two."""
    batch = collate(tokenizer, [Labelled("off", 1, (0, 2, NONE)), Labelled("on", 0)])
    assert batch.mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.targets.tolist() == [1, 0]
    assert batch.tags.tolist() == [[0, 2, NONE], [NONE] * 3]
    assert batch.num_tokens == 5


def test_scores_are_log_probabilities_of_the_pooled_text_and_its_tokens(model):
    """The oracle: one text at a time through encoder, pooling and heads."""
    for text, found in zip(TEXTS, model.scores(TEXTS), strict=True):
        batch = collate(model.tokenizer, [Labelled(text, 0)])
        with torch.inference_mode():
            hidden = model.model(batch.ids).last_hidden_state
            label = model.heads["label"](mean_pooled(hidden, batch.mask))[0].log_softmax(-1)
            tag = model.heads["tag"](hidden)[0].log_softmax(-1)
        torch.testing.assert_close(found["label"], label, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found["tag"], tag, atol=1e-5, rtol=1e-4)
        assert found["tag"].shape == (len(text), 3)


def test_batches_and_their_order_do_not_matter(model, monkeypatch):
    whole = model.scores(TEXTS)
    monkeypatch.setattr(encoder, "BATCH", 1)
    for one, found in zip(model.scores(TEXTS[::-1])[::-1], whole, strict=True):
        for name in ("label", "tag"):
            torch.testing.assert_close(one[name], found[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("tags", [(), ("O", "B")])
def test_a_folder_gives_equal_scores_and_the_same_bytes_twice(tiny_folder, tmp_path, tags):
    model = HeadedEncoder(tiny_folder, ["a", "b", "c"], tags)
    for name in ("one", "two"):
        model.save(tmp_path / name)
    loaded = load_headed(tmp_path / "one")
    assert (loaded.labels, loaded.tags) == (["a", "b", "c"], list(tags))
    for found, again in zip(model.scores(TEXTS), loaded.scores(TEXTS), strict=True):
        assert found.keys() == again.keys() == {"label"} | ({"tag"} if tags else set())
        assert all(torch.equal(found[name], again[name]) for name in found)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_a_folder_without_heads_is_named(tiny_folder):
    with pytest.raises(UserError, match="no encoder with heads"):
        load_headed(tiny_folder)


def test_fit_learns_labels_and_tags(model, tmp_path):
    rows = [Labelled("aaa", 0, (0, 0, 0)), Labelled("bc", 1, (1, 2))]
    cfg = FitConfig(learning_rate=1e-2, warmup_share=0, schedule="constant", weight_decay=0, max_grad_norm=1)
    machine = TrainMachine(
        precision="float32", max_tokens=64, gradient_checkpointing=False, save_minutes=9, processes=1
    )
    run = Run([[rows]] * 30, lambda texts: collate(model.tokenizer, texts), loss)
    fit(model, run, cfg, machine, 0, tmp_path / "log.csv", tmp_path / "state")
    first, second = model.scores(["aaa", "bc"])
    assert first["label"].argmax() == 0 and second["label"].argmax() == 1
    assert first["tag"].argmax(-1).tolist() == [0, 0, 0] and second["tag"].argmax(-1).tolist() == [1, 2]
