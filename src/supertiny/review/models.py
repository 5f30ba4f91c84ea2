"""The table of the models that a branch changed."""

from collections.abc import Mapping, Set

from supertiny.report.markdown import DASH, number, rate, table
from supertiny.review.figures import MEASURES, Figures, Measure

TOLD = "Base, then this branch, then the change; AR with its 95 % interval and the number of queries."


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
        if not measure.rate:  # of several figures, the best that both revisions have
            figure = "<br>".join(map(number, pair))
        figure += f"<br>{'✗ ' if (model, measure) in broken else ''}**{_change(measure, *pair)}**"
    counts = [number(figures.get(f"{model}.{measure.path.removesuffix('ar')}n")) for figures in (before, after)]
    return [figure, _sides(*counts)] if measure.rate else [figure]


def _sides(before: str, after: str) -> str:
    return before if before == after else f"{before}<br>{after}"


def _figure(figures: Figures, model: str, measure: Measure) -> str:
    value, name = measure.value(figures, model), f"{model}.{measure.path}"
    if not measure.rate or value is None:
        return number(value)
    return rate({"ar": value, **{f"ar_{end}": figures.get(f"{name}_{end}") for end in ("low", "high")}})


def _change(measure: Measure, before: float, after: float) -> str:
    """By how much, with its sign; a cost as a share of what it was."""
    if measure.relative:
        return f"{100 * (after - before) / before:+.1f} %" if before else DASH
    return f"{after - before:+.3f}"
