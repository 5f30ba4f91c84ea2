"""The few figures of a model that a branch is judged by, in two revisions of metrics/summary.json."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, fields
from math import copysign, inf
from typing import Any

from supertiny.core.config import PARAMS, load_each, require
from supertiny.measure.systems import POLICIES, SystemConfig
from supertiny.report.tables import DASH, number, rate, table

Figures = Mapping[str, Any]
"""dotted name, as `dvc metrics` spells it, -> value; of one revision"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One column of the table of models."""

    title: str
    name: str
    """of the figure under its system in summary.json"""
    gate: str
    """what GateConfig calls the most that it may become worse"""
    rise_is_worse: bool
    relative: bool
    """whether its gate is a share of the base's figure"""
    rate: bool = False
    """whether its interval and a number of queries stand beside it"""
    timed: bool = False
    """whether it depends on the machine that measured it"""

    def pair(self, before: Figures, after: Figures, model: str) -> tuple[float, float] | None:
        """The figure of both revisions; None where one lacks it.

        >>> MEASURES[-1].pair({"a.qps": 9.0}, {"a.qps": 10.0, "b.qps": 2.0}, "a")
        (9.0, 10.0)
        """
        then, now = self.value(before, model), self.value(after, model)
        return None if then is None or now is None else (then, now)

    def value(self, figures: Figures, model: str) -> float | None:
        """The figure of one revision."""
        return figures.get(f"{model}.{self.name}")

    def worse_by(self, before: float, after: float) -> float:
        """How much worse `after` is, as the gate counts; negative: better.

        >>> ar, gflops = MEASURES[0], MEASURES[2]
        >>> round(ar.worse_by(0.75, 0.5), 3), gflops.worse_by(20.0, 25.0)
        (0.25, 0.25)
        """
        change = after - before if self.rise_is_worse else before - after
        if not self.relative or change == 0:
            return change
        return change / before if before else copysign(inf, change)


MEASURES = (
    Measure(title="AR, in domain", name="ar", gate="ar_drop", rise_is_worse=False, relative=False, rate=True),
    Measure(title="AR, OOD", name="ood_ar", gate="ood_ar_drop", rise_is_worse=False, relative=False),
    Measure(title="GFLOPs a request", name="gflops", gate="gflops_rise", rise_is_worse=True, relative=True),
    Measure(title="weights, MB", name="mb", gate="weights_rise", rise_is_worse=True, relative=True),
    Measure(title="QPS, best load", name="qps", gate="qps_drop", rise_is_worse=False, relative=True, timed=True),
)


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


def load_gates(systems: Mapping[str, SystemConfig]) -> dict[str, GateConfig]:
    """The gates of each system that has some: an entry's own, else those of `every`, which no policy has.

    Policies are asked too few queries for a difference to say anything.
    """
    entries = load_each("gates", GateConfig)
    require(EVERY in entries, f"{PARAMS}: gates: entry {EVERY!r} is missing; it holds for systems without their own")
    own = {name: one for name, one in entries.items() if name != EVERY}
    for name in own:
        require(name in systems, f"{PARAMS}: gates: {name!r} is none of the systems {', '.join(sorted(systems))}")
    return dict.fromkeys((name for name, one in systems.items() if one.asked != POLICIES), entries[EVERY]) | own


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


TOLD = "Base, then this branch, then the change; in-domain AR with its 95 % interval and the number of queries."


def models_table(titles: Mapping[str, str], before: Figures, after: Figures, broken: Set[tuple[str, Measure]]) -> str:
    """A row for each model with a change, and the names of the others; `broken`: what its gate does not allow."""
    rows, same = [], []
    for model, title in titles.items():
        cells = [cell for measure in MEASURES for cell in _cells(before, after, model, measure, broken)]
        if any("<br>" in cell for cell in cells):
            rows.append([title, *cells])
        else:
            same.append(title)
    header = ["model", *(head for one in MEASURES for head in ([one.title, "n"] if one.rate else [one.title]))]
    parts = [TOLD, table(header, rows)] if rows else []
    return "\n\n".join([*parts, *([f"Unchanged: {'; '.join(same)}."] if same else [])])


def _cells(
    before: Figures, after: Figures, model: str, measure: Measure, broken: Set[tuple[str, Measure]]
) -> list[str]:
    """A figure, and the number of queries behind it where it is a rate; one line where nothing changed."""
    figure = _sides(_figure(before, model, measure), _figure(after, model, measure))
    if (pair := measure.pair(before, after, model)) and pair[0] != pair[1]:
        figure += f"<br>{'✗ ' if (model, measure) in broken else ''}**{_change(measure, *pair)}**"
    counts = [number(figures.get(f"{model}.n")) for figures in (before, after)]
    return [figure, _sides(*counts)] if measure.rate else [figure]


def _sides(before: str, after: str) -> str:
    return before if before == after else f"{before}<br>{after}"


def _figure(figures: Figures, model: str, measure: Measure) -> str:
    value = measure.value(figures, model)
    if not measure.rate or value is None:
        return number(value)
    return rate({name: figures.get(f"{model}.{name}") for name in ("n", "ar", "ar_low", "ar_high")})


def _change(measure: Measure, before: float, after: float) -> str:
    """By how much, with its sign; a cost as a share of what it was."""
    if measure.relative:
        return f"{100 * (after - before) / before:+.1f} %" if before else DASH
    return f"{after - before:+.3f}"
