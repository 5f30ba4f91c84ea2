"""The models that params.yaml declares, table by table, and how each is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from supertiny.core.config import PARAMS, load_each, load_over, read_yaml
from supertiny.core.errors import UserError
from supertiny.model.config import TrainingConfig

COMMON = "common"
"""entry of section `training` that holds for every way to train"""


@dataclass(kw_only=True, slots=True)
class SftEntry:
    """Of table `trained.sft` of params.yaml."""

    base: str
    """name of the model it is made of"""
    rows: str
    """file of what it learns"""
    how: str
    """entry of section `training`"""


@dataclass(kw_only=True, slots=True)
class RecoverEntry:
    """Of table `trained.recover` of params.yaml."""

    base: str
    teacher: str
    """name of the model that is asked"""
    how: str


@dataclass(kw_only=True, slots=True)
class DistillEntry:
    """Of table `trained.distill` of params.yaml."""

    base: str
    how: str


@dataclass(kw_only=True, slots=True)
class ThinkEntry:
    """Of table `trained.think` of params.yaml."""

    base: str
    thoughts: str
    """file of what it learns to think"""
    how: str


@dataclass(kw_only=True, slots=True)
class RlEntry:
    """Of table `trained.rl` of params.yaml."""

    base: str


class Trained(Protocol):
    """An entry of any of TABLES."""

    base: str
    how: str


TABLES: Mapping[str, type[Trained]] = {
    "sft": SftEntry,
    "recover": RecoverEntry,
    "distill": DistillEntry,
    "think": ThinkEntry,
}
"""tables of section `trained` whose models are fine-tuned in one of the ways of section `training`"""


def training(table: str, name: str) -> TrainingConfig:
    """How the model `name` of `trained.<table>` is trained."""
    entries = load_each(f"trained.{table}", TABLES[table], empty=True)
    if name not in entries:
        known = ", ".join(entries) or "none"
        raise UserError(f"{PARAMS}: trained.{table}: there is no {name!r} (there are: {known}); add a line for it")
    how = entries[name].how
    ways = [way for way in read_yaml(PARAMS).get("training") or {} if way != COMMON]
    if how not in ways:
        raise UserError(
            f"{PARAMS}: trained.{table}.{name}.how: section training has no {how!r} (it has: {', '.join(ways)})"
        )
    return way_to_train(how)


def way_to_train(how: str) -> TrainingConfig:
    """An entry of section `training` over what all of them share."""
    return load_over((f"training.{COMMON}", f"training.{how}"), TrainingConfig)
