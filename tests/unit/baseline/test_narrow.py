"""A domain's model starts where that of all domains stands."""

import torch

from supertiny.baseline.train import narrowed
from supertiny.model.encoder import HeadedEncoder


def test_scores_of_what_is_kept_are_what_they_were(tiny_folder):
    torch.manual_seed(0)
    model = HeadedEncoder(tiny_folder, ["light", "lock", "fan"], ["O", "B", "I"]).eval()
    whole = model.scores(["turn on the light"])[0]
    fewer = narrowed(model, ["fan", "light"], ["B", "O"]).scores(["turn on the light"])[0]
    for name, columns in (("label", [2, 0]), ("tag", [1, 0])):
        expected = whole[name][..., columns].log_softmax(-1)
        torch.testing.assert_close(fewer[name], expected)
    assert (model.labels, model.tags) == (["fan", "light"], ["B", "O"])


def test_a_domain_without_slots_has_no_tag_head(tiny_folder):
    model = narrowed(HeadedEncoder(tiny_folder, ["light", "lock"], ["O", "B"]), ["lock"], [])
    assert "tag" not in model.scores(["lock it"])[0]
