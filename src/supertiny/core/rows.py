"""The rows of the tables, as params.yaml declares them."""

from dataclasses import dataclass

from supertiny.core.config import require


@dataclass(kw_only=True, slots=True)
class ModelConfig:
    """One entry of `models` or `systems` in params.yaml: a row of every table."""

    title: str
    """what the tables and figures call it"""
    log: str | None
    """its loss curve is data/logs/<log>.csv; null: nothing was trained"""

    def __post_init__(self) -> None:
        require("|" not in self.title and "\n" not in self.title, f"title: no | or line break, got {self.title!r}")


@dataclass(kw_only=True, slots=True)
class PolicyConfig:
    """One entry of `policies` in params.yaml: a model that thinks, as a row of Tables 3 and 11."""

    title: str
    """what the tables call it"""
    start: str
    """the row that it was trained from, with which it is compared"""

    def __post_init__(self) -> None:
        require("|" not in self.title and "\n" not in self.title, f"title: no | or line break, got {self.title!r}")
