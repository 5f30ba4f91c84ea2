"""Which models the tables show, and the result files of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertiny.core.config import load_each
from supertiny.core.files import read_json
from supertiny.core.rows import ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the stages evaluate, cost and bench found out about one model."""

    title: str
    rates: dict[str, Any]
    cost: dict[str, Any]
    bench: dict[str, Any]


def model_configs() -> dict[str, ModelConfig]:
    """The systems and the models declared in params.yaml, in its order: what other stages measured comes first."""
    return load_each("systems", ModelConfig, empty=True) | load_each("models", ModelConfig)


def read_results(folder: Path, config: ModelConfig) -> Results:
    """The three result files in `folder`."""
    rates, cost, bench = (read_json(folder / f"{name}.json") for name in ("rates", "cost", "bench"))
    return Results(title=config.title, rates=rates, cost=cost, bench=bench)
