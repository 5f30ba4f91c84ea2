"""The few figures of a model that a branch is judged by, in two revisions of metrics/summary.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import copysign, inf
from typing import Any

Figures = Mapping[str, Any]
"""dotted name, as `dvc metrics` spells it, -> value; of one revision"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One column of the table of models."""

    title: str
    path: str
    """of the figure under its model; `qps.*`: the best of several"""
    gate: str
    """what GateConfig calls the most that it may become worse"""
    rise_is_worse: bool
    relative: bool
    """whether its gate is a share of the base's figure"""
    rate: bool = False
    """whether an interval and a number of queries stand beside it"""
    timed: bool = False
    """whether it depends on the machine that measured it"""

    def pair(self, before: Figures, after: Figures, model: str) -> tuple[float, float] | None:
        """The figure of both revisions; None where one lacks it.

        >>> qps = MEASURES[-1]
        >>> qps.pair({"a.qps.cc1": 2.0, "a.qps.cc64": 9.0}, {"a.qps.cc1": 3.0, "a.qps.cc8": 10.0}, "a")
        (2.0, 3.0)
        """
        names = self._names(before, model) & self._names(after, model)
        if not names:
            return None
        return max(before[name] for name in names), max(after[name] for name in names)

    def value(self, figures: Figures, model: str) -> float | None:
        """The figure of one revision."""
        return max((figures[name] for name in self._names(figures, model)), default=None)

    def _names(self, figures: Figures, model: str) -> set[str]:
        name = f"{model}.{self.path}"
        if name.endswith("*"):
            return {one for one in figures if one.startswith(name[:-1])}
        return {name} & figures.keys()

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
    Measure(title="AR, in domain", path="ar", gate="ar_drop", rise_is_worse=False, relative=False, rate=True),
    Measure(title="AR, OOD", path="ood.ar", gate="ood_ar_drop", rise_is_worse=False, relative=False, rate=True),
    Measure(title="GFLOPs a request", path="gflops_gemm", gate="gflops_rise", rise_is_worse=True, relative=True),
    Measure(title="weights, MB", path="weights_mb", gate="weights_rise", rise_is_worse=True, relative=True),
    Measure(title="QPS, best load", path="qps.*", gate="qps_drop", rise_is_worse=False, relative=True, timed=True),
)
