"""The gates of a branch: how much worse than its base each model may become, and whether it did."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from supertiny.core.config import PARAMS, load_each, require
from supertiny.review.figures import MEASURES, Figures, Measure

EVERY = "every"


@dataclass(kw_only=True, slots=True)
class GateConfig:
    """One entry of `gates` in params.yaml; null: as much as it likes."""

    ar_drop: float | None
    """fall of the in-domain AR, as a difference of rates"""
    ood_ar_drop: float | None
    """the same out of domain"""
    gflops_rise: float | None
    """rise of the GFLOPs of a request, as a share of the base's"""
    weights_rise: float | None
    """rise of the weights' bytes, as a share of the base's"""
    qps_drop: float | None
    """fall of the queries a second at the best load, as a share of the base's"""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            require(value is None or value >= 0, f"{field.name}: expected null or 0 or more, got {value}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One measure of one model against its gate."""

    model: str
    measure: Measure
    worse: float
    """how much worse than the base it is, as its gate counts; negative: better"""
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether it is no worse than allowed; figures have four decimals, so a rounding error is none."""
        return self.worse <= self.allowed + 1e-9


def load_gates(systems: Mapping[str, object], models: Mapping[str, object]) -> dict[str, GateConfig]:
    """The gates of each row that has some: an entry's own, and those of `every` for the models without one."""
    entries = load_each("gates", GateConfig)
    require(EVERY in entries, f"{PARAMS}: gates: entry {EVERY!r} is missing; it holds for models without their own")
    known = {*systems, *models}
    for name in entries.keys() - {EVERY}:
        require(name in known, f"{PARAMS}: gates: {name!r} is none of the rows {', '.join(sorted(known))}")
    return {**dict.fromkeys(models, entries[EVERY]), **{name: one for name, one in entries.items() if name != EVERY}}


def verdicts(before: Figures, after: Figures, gates: Mapping[str, GateConfig], *, timed: bool = True) -> list[Verdict]:
    """Every measure of every gated model that both revisions have; `timed`: whether their QPS can be compared."""
    found = []
    for model, gate in gates.items():
        for measure in MEASURES:
            allowed = getattr(gate, measure.gate)
            pair = measure.pair(before, after, model)
            if allowed is not None and pair is not None and (timed or not measure.timed):
                found.append(Verdict(model, measure, measure.worse_by(*pair), allowed))
    return found
