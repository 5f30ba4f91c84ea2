"""One domain's model out of that of all domains: the same encoder, and the domain's rows of its heads."""

from collections.abc import Sequence

import torch
from torch import nn

from supertiny.model.heads import HeadedEncoder


def narrowed(model: HeadedEncoder, labels: Sequence[str], tags: Sequence[str]) -> HeadedEncoder:
    """`model` in place with these of its labels and tags alone: their scores are what they were."""
    wanted = {"label": (model.labels, labels), "tag": (model.tags, tags)}
    heads = {name: _rows(model.heads[name], *names) for name, names in wanted.items() if names[1]}
    model.labels, model.tags, model.heads = list(labels), list(tags), nn.ModuleDict(heads)
    return model


def _rows(head: nn.Module, names: Sequence[str], kept: Sequence[str]) -> nn.Linear:
    """The rows of a linear head that score `kept`."""
    assert isinstance(head, nn.Linear)
    rows = [names.index(name) for name in kept]
    fewer = nn.Linear(head.in_features, len(rows))
    with torch.no_grad():
        fewer.weight.copy_(head.weight[rows])
        fewer.bias.copy_(head.bias[rows])
    return fewer
