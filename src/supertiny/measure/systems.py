"""The rows of the tables, as params.yaml declares them."""

from dataclasses import dataclass

from supertiny.core.config import require


@dataclass(kw_only=True, slots=True)
class SystemConfig:
    """One entry of `systems` in params.yaml: a row of every table, with stages of its own."""

    title: str
    """what the tables and figures call it"""
    log: str | None
    """its loss curve is data/logs/<log>.csv; null: nothing was trained"""

    def __post_init__(self) -> None:
        _check(self.title)


@dataclass(kw_only=True, slots=True)
class ModelConfig(SystemConfig):
    """One entry of `models`: a language model under data/models/, and a row of every table."""

    asked: str
    """how many queries it answers: an entry of the profile's section `evaluate`"""


@dataclass(kw_only=True, slots=True)
class PolicyConfig:
    """One entry of `policies` in params.yaml: a model that thinks, as a row of Tables 3 and 11."""

    title: str
    """what the tables call it"""
    start: str
    """the row that it was trained from, with which it is compared"""

    def __post_init__(self) -> None:
        _check(self.title)


def _check(title: str) -> None:
    require("|" not in title and "\n" not in title, f"title: no | or line break, got {title!r}")
