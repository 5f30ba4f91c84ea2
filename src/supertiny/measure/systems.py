"""The systems that params.yaml declares, and what each of their models was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supertiny.core.config import PARAMS, load_each, read_yaml, require

KINDS = ("model", "prototype", "traditional")
MODEL, PROTOTYPE, TRADITIONAL = KINDS
POLICIES, COMPRESSED = "policies", "compressed"
"""what is asked fewer queries than the others: what thinks first; what is compared with the model it was made of"""
LOGGED = ("sft", "recover", "distill", "think", "rl")
"""tables of `trained` whose stages write a loss log"""

Entries = dict[str, dict[str, Any]]
"""name -> its entry in a table of params.yaml"""


@dataclass(kw_only=True, slots=True)
class SystemConfig:
    """One entry of `systems` in params.yaml: what answers the test queries, and has a row in every table."""

    kind: str
    """model | prototype | traditional"""
    model: str
    """its folder under data/models/"""
    asked: str
    """how many queries it answers: an entry of the profile's section `sizes.evaluate`"""
    title: str
    """what the tables and figures call it"""

    def __post_init__(self) -> None:
        require(self.kind in KINDS, f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        require("|" not in self.title and "\n" not in self.title, f"title: no | or line break, got {self.title!r}")


def declared() -> dict[str, SystemConfig]:
    """The systems, in the order of params.yaml."""
    return load_each("systems", SystemConfig)


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of params.yaml that say what there is."""

    systems: dict[str, SystemConfig]
    served: frozenset[str]
    """those that are load tested"""
    trained: Mapping[str, Entries]
    """by table, which the stages that make the models are named after"""
    traces: Entries

    def origin(self, name: str) -> str | None:
        """The nearest ancestor of a system's model that is a system itself; None where none is."""
        known = {one.model: other for other, one in self.systems.items() if one.kind == MODEL}
        return next((known[one] for one in self.line(name)[1:] if one in known), None)

    def line(self, name: str) -> list[str]:
        """The model of a system, what it was made of, what that was made of, and so on."""
        bases = {model: entry["base"] for entries in self.trained.values() for model, entry in entries.items()}
        found = [self.systems[name].model]
        while (base := bases.get(found[-1])) is not None:
            require(base not in found, f"{PARAMS}: trained: {base!r} is made of itself; name another base")
            found.append(base)
        return found

    def log_of(self, name: str) -> str | None:
        """The name of a system's loss log under data/logs/; None where nothing was trained."""
        config = self.systems[name]
        made_here = config.kind == MODEL and any(config.model in self.trained.get(table, {}) for table in LOGGED)
        return config.model if made_here or config.kind == TRADITIONAL else None


def tables() -> Tables:
    """What params.yaml declares; any table but `systems` may be empty."""
    params, systems = read_yaml(PARAMS), declared()
    trained = {table: entries or {} for table, entries in (params.get("trained") or {}).items()}
    served = params.get("served") or {}
    for name, entry in served.items():
        require(name in systems, f"{PARAMS}: served.{name}: is none of the systems {', '.join(systems)}")
        same = entry == params["systems"][name]
        require(same, f"{PARAMS}: served.{name}: differs from systems.{name}; write `{name}: *{name}`, its alias")
    return Tables(systems, frozenset(served), trained, params.get("traces") or {})
