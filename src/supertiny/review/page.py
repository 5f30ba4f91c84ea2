"""The report of a branch in Markdown, as a pull request shows it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supertiny.report.markdown import number, table
from supertiny.review.figures import Figures, Measure
from supertiny.review.gates import Verdict
from supertiny.review.models import models_table
from supertiny.review.pictures import Picture
from supertiny.review.tracked import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What the report calls a side of the comparison."""

    name: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that differs between a base and this checkout."""

    base: Revision
    here: Revision
    titles: Mapping[str, str]
    """name of a row of the tables -> what they call it"""
    before: Figures
    after: Figures
    verdicts: Sequence[Verdict]
    stale: Sequence[str]
    """stages whose results are of other code or parameters"""
    notes: Sequence[str]
    params: Sequence[Change]
    rerun: Sequence[str]
    graph: str
    pictures: Sequence[Picture]


def holds(found: Found) -> bool:
    """Whether every gate holds, and the results are those of this code."""
    return not found.stale and all(verdict.holds for verdict in found.verdicts)


def write_page(found: Found, url: str | None) -> str:
    """The whole report; `url`: where the files of a revision are served, as <url>/<revision>/<path>."""
    broken = {(verdict.model, verdict.measure) for verdict in found.verdicts if not verdict.holds}
    parts = [
        f"# Results of `{found.here.name}` against `{found.base.name}`",
        _verdict(found),
        *([f"> {note}" for note in found.notes]),
        "## Models",
        models_table(found.titles, found.before, found.after, broken),
        "## Parameters",
        _params(found.params),
        "## Stages",
        _stages(found.rerun, found.graph),
        "## Plots",
        _plots(found, url),
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(found: Found) -> str:
    broken = [verdict for verdict in found.verdicts if not verdict.holds]
    lines = [f"- {_told(found, verdict)}" for verdict in broken]
    if found.stale:
        stages = ", ".join(f"`{name}`" for name in found.stale)
        lines.append(f"- The results are not those of this code: `dvc repro` would run {stages}. Run it and commit.")
    head = "**The gates do not hold.**" if broken else "**All gates hold.**"
    if found.stale and not broken:
        head = "**These are not the results of this code.**"
    return "\n".join(
        [f"{head} {len(found.verdicts) - len(broken)} of {len(found.verdicts)} measures hold.", "", *lines]
    )


def _told(found: Found, verdict: Verdict) -> str:
    measure, way = verdict.measure, "rises" if verdict.measure.rise_is_worse else "falls"
    worse, allowed = (_amount(measure, value) for value in (verdict.worse, verdict.allowed))
    return f"✗ {found.titles[verdict.model]}: {measure.title} {way} by {worse}; allowed: {allowed}"


def _amount(measure: Measure, value: float) -> str:
    return f"{100 * value:.1f} %" if measure.relative else number(value)


def _params(changes: Sequence[Change]) -> str:
    if not changes:
        return "None differs."
    rows = [[f"`{one.name}`", _value(one.before), _value(one.after), one.file] for one in changes]
    return table(["parameter", "base", "this branch", "file"], rows)


def _value(value: Any) -> str:
    return "-" if value is None else f"`{value}`"


def _stages(rerun: Sequence[str], graph: str) -> str:
    """The stages that ran anew, and what they take from each other, folded."""
    if not rerun:
        return "None ran anew."
    lines = graph.splitlines()
    kept = {line.split("[")[0].strip() for line in lines if _stage(line) in rerun}
    drawn = [line for line in lines if _nodes(line) <= kept]
    names = ", ".join(f"`{name}`" for name in rerun)
    folded = [
        "<details><summary>What they take from each other</summary>",
        "",
        "```mermaid",
        *drawn,
        "```",
        "",
        "</details>",
    ]
    return "\n".join([f"Ran anew: {names}.", "", *folded])


def _stage(line: str) -> str | None:
    """The stage of a node's line in Mermaid.

    >>> _stage('    node7["bench@p30"]'), _stage('    node1-->node2')
    ('bench@p30', None)
    """
    return line.split('["')[1].split('"]')[0] if '["' in line else None


def _nodes(line: str) -> set[str]:
    """The nodes that a line of Mermaid names; its head names none.

    >>> sorted(_nodes('    node1-->node2')), _nodes('    node7["bench@p30"]'), _nodes("flowchart TD")
    (['node1', 'node2'], {'node7'}, set())
    """
    return set(re.findall(r"\bnode\d+\b", line.split("[")[0]))


def _plots(found: Found, url: str | None) -> str:
    """Each changed plot: of data with both revisions in one picture, else both pictures side by side."""
    if not found.pictures:
        return "None differs."
    shown = [_plot(found, picture, url) for picture in found.pictures]
    apart = [picture.files[0] for picture in found.pictures if url is not None and not picture.path]
    told = f"Both revisions in one picture, in the folder of this report: {', '.join(apart)}." if apart else ""
    return "\n\n".join(part for part in (*shown, told) if part)


def _plot(found: Found, picture: Picture, url: str | None) -> str:
    if not picture.path:
        return "" if url is not None else f"![{picture.name}](plots/{picture.files[0]})"
    sources = [f"plots/{file}" for file in picture.files]
    if url is not None:
        commits = [found.base.commit, found.here.commit][-len(sources) :]
        sources = [f"{url}/{commit}/{picture.path}" for commit in commits]
    heads = [f"{picture.name}, base", f"{picture.name}, this branch"][-len(sources) :]
    return table(heads, [[f"![{head}]({source})" for head, source in zip(heads, sources, strict=True)]])
