"""How much each part of a model matters, measured once and stored: pruning anew needs no pass (paper App. I)."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from supertiny.compress.cut import ChannelImportance, LayerImportance, observe
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, write_json
from supertiny.model.batches import Batch


@dataclass(frozen=True, slots=True)
class Importance:
    """Scores of one model; higher is more important."""

    layers: list[float]
    """LI of every block"""
    hidden: list[float]
    """CI_embedding of every channel of the hidden state"""
    inter: list[list[float]]
    """CI_inter of every channel between the feed-forward projections, for every block"""
    tokens: int
    """real tokens they were measured on"""

    def must_be_of(self, config: Any) -> None:
        """An error where a model of this config has other sizes than the one that was measured."""
        ours = (len(self.layers), len(self.hidden), len(self.inter[0]))
        theirs = (config.num_hidden_layers, config.hidden_size, config.intermediate_size)
        if ours != theirs:
            raise UserError(
                f"importance: measured on a model of (layers, hidden, inter) {ours}, the base has {theirs}; "
                "run the stage importance on this base"
            )


def measure(model: PreTrainedModel, batches: Iterable[Batch]) -> Importance:
    """All scores of `model` in one pass over `batches`."""
    layers, channels = LayerImportance(model), ChannelImportance(model)
    tokens = observe(model, batches, [*layers.watched, *channels.watched])
    return Importance(layers.scores(tokens), channels.hidden(), channels.inter(), tokens)


def write_importance(path: Path, importance: Importance) -> None:
    """Write the scores as JSON; `read_importance` gives them back."""
    write_json(path, asdict(importance))


def read_importance(path: Path) -> Importance:
    """The scores that `write_importance` wrote."""
    found = read_json(path)
    fits = isinstance(found, dict) and set(found) == {"layers", "hidden", "inter", "tokens"}
    fits = fits and isinstance(found["tokens"], int) and isinstance(found["inter"], list) and bool(found["inter"])
    fits = fits and all(map(_is_scores, (found["layers"], found["hidden"], *found["inter"])))
    if not fits or len(found["layers"]) != len(found["inter"]):
        raise UserError(f"{path}: expected the numbers layers, hidden, inter and tokens; run the stage importance")
    return Importance(**found)


def _is_scores(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) in (int, float) for value in values)
