"""Which models the tables show, and the result files of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertiny.core.config import PARAMS, load, load_each, require
from supertiny.core.files import read_json
from supertiny.core.rows import ModelConfig, SystemConfig
from supertiny.measure.load import BenchConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the stages evaluate, cost and bench found out about one model."""

    title: str
    rates: dict[str, Any]
    cost: dict[str, Any]
    bench: dict[str, Any] | None
    """None where the model is not served"""


def model_configs() -> dict[str, SystemConfig]:
    """The systems and the models declared in params.yaml, in its order: what other stages measured comes first."""
    return {**load_each("systems", SystemConfig, empty=True), **load_each("models", ModelConfig)}


def served_models() -> set[str]:
    """The rows with a load test: every system, and the models that `bench.models` names."""
    named, known = load("bench", BenchConfig).models, load_each("models", ModelConfig)
    for name in named:
        require(name in known, f"{PARAMS}: bench.models: {name!r} is none of the models {', '.join(known)}")
    return {*load_each("systems", SystemConfig, empty=True), *named}


def read_results(folder: Path, config: SystemConfig, served: bool) -> Results:
    """The result files in `folder`."""
    rates, cost = (read_json(folder / f"{name}.json") for name in ("rates", "cost"))
    return Results(
        title=config.title, rates=rates, cost=cost, bench=read_json(folder / "bench.json") if served else None
    )
