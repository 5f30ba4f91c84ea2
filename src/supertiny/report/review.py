"""The report of a branch in Markdown, as a pull request shows it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from supertiny.core.config import read_yaml
from supertiny.core.errors import UserError
from supertiny.core.files import write_text
from supertiny.core.git import git, tried
from supertiny.report.compare import Figures, Measure, Verdict, models_table
from supertiny.report.rows import GRAPH
from supertiny.report.tables import number, table

SUMMARY = "metrics/summary.json"
RESULTS = "metrics/results.md"
LOCK = "dvc.lock"
RESOLVE = "resolve"
MEASURED = re.compile(r"(?i)measured with (.+)")


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter that differs; None where a revision has none of the name."""

    file: str
    name: str
    before: Any
    after: Any


def dvc(*arguments: str) -> str:
    """What a dvc command prints; its own message where it fails."""
    done = _dvc(*arguments)
    if done.returncode:
        raise UserError(f"dvc {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def revision(name: str) -> str:
    """The commit that `name` stands for."""
    git("rev-parse", "--git-dir")  # outside of a repository, git says so
    try:
        return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except UserError:
        raise UserError(f"--base: git knows no revision {name!r} here; fetch it, or name another") from None


def metrics(base: str) -> tuple[Figures, Figures]:
    """Every figure of metrics/summary.json in revision `base`, and in this checkout."""
    found = json.loads(dvc("metrics", "diff", base, "--all", "--json", "--precision", "9")).get(SUMMARY, {})
    before, after = (
        {name: one[side] for name, one in found.items() if one.get(side) is not None} for side in ("old", "new")
    )
    for figures, where in ((before, f"revision {base}"), (after, "this checkout")):
        if not figures:
            raise UserError(f"{SUMMARY}: {where} has no figures; run `dvc repro` there and commit what it wrote")
    return before, after


def params(base: str) -> list[Change]:
    """The parameters that differ, by file and name."""
    found = json.loads(dvc("params", "diff", base, "--json"))
    changes = [
        Change(file, name, one.get("old"), one.get("new")) for file, rows in found.items() for name, one in rows.items()
    ]
    return sorted(changes, key=lambda change: (change.file, change.name))


def machines(base: str) -> tuple[set[str], set[str]]:
    """The machines that served the models, as the page of results names them, in `base` and in this checkout."""
    pages = (_shown(base, RESULTS), Path(RESULTS).read_text(encoding="utf-8") if Path(RESULTS).is_file() else "")
    before, after = (set(MEASURED.findall(page)) for page in pages)
    return before, after


def rerun(base: str) -> list[str]:
    """The stages whose entry in dvc.lock differs from that of `base`, in the order of the lock."""
    now = Path(LOCK).read_text(encoding="utf-8") if Path(LOCK).is_file() else ""
    before, after = (_locked(text) for text in (_shown(base, LOCK), now))
    return [name for name, entry in after.items() if before.get(name) != entry]


def stale() -> list[str]:
    """The first stages that `dvc repro` would run here, whose results are of other code or parameters; data may lack.

    What comes after them is not told. One to run whose inputs lack is told as failed: DVC asks its run cache for them.
    Stage resolve, which needs no data, runs first: all others hang on what it writes. Where it fails, it is told.
    """
    if RESOLVE in read_yaml(GRAPH)["stages"]:
        _dvc("repro", RESOLVE)
    done = _dvc("repro", "--dry", "--allow-missing", "--keep-going")
    found = re.findall(r"(?m)^Running stage '([^']+)'", done.stdout)
    found += [name for names in re.findall(r"failed to reproduce(.+)", done.stderr) for name in names.split("'")[1::2]]
    if done.returncode and not found:
        raise UserError(f"dvc repro --dry --allow-missing: {done.stderr.strip()[-500:]}")
    return found


def graph() -> str:
    """The stages and what they take from each other, in Mermaid."""
    return dvc("dag", "--mermaid").strip()


def _dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return tried([sys.executable, "-m", "dvc", *arguments])


def _shown(revision: str, path: str) -> str:
    """A file of a revision; empty where there is none."""
    try:
        return git("show", f"{revision}:{path}")
    except UserError:
        return ""


def _locked(lock: str) -> dict[str, Any]:
    return (YAML(typ="safe").load(lock) or {}).get("stages", {})


NOW = "workspace"
"""what DVC calls this checkout"""
PADDING = {"left": 40, "right": 60, "top": 10, "bottom": 10}
"""pixels around a plot: where a browser's letters are wider than those that were measured, labels would be cut off"""


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot that a branch changed."""

    name: str
    path: str
    """of the picture that git tracks; empty: a plot of data"""
    files: tuple[str, ...]
    """names of what was written: both revisions in one, or that of the base (where it has one) and this checkout's"""


def pictures(base: str, out: Path) -> list[Picture]:
    """Draw into folder `out` every plot that is not the same in revision `base`: first those of data, then pictures."""
    # DVC's editors read this JSON: plots of data as filled Vega-Lite, pictures of each revision copied to a folder
    with TemporaryDirectory() as copies:
        plots = json.loads(dvc("plots", "diff", base, "--json", "--out", copies)).get("data", {})
        found = [_drawn(name, parts, out) for name, parts in plots.items()]
    return sorted((one for one in found if one is not None), key=lambda one: bool(one.path))


def _drawn(name: str, parts: list[dict[str, Any]], out: Path) -> Picture | None:
    if all(part["type"] == "image" for part in parts):
        return _copied(name, {part["revisions"][0] == NOW: Path(part["url"]) for part in parts}, out)
    spec = parts[0]["content"]
    rows = {here: [row for row in spec["data"]["values"] if (row["rev"] == NOW) == here] for here in (True, False)}
    if _unnamed(rows[True]) == _unnamed(rows[False]):
        return None
    write_text(out / f"{name}.svg", _svg(spec))
    return Picture(name, "", (f"{name}.svg",))


def _unnamed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "rev"} for row in rows]


def _copied(path: str, sources: dict[bool, Path], out: Path) -> Picture | None:
    """Both revisions (True: this checkout) of a picture that git tracks, unless they are equal or it is gone."""
    if True not in sources or len({source.read_bytes() for source in sources.values()}) < len(sources):
        return None
    stem, suffix = Path(path).stem, Path(path).suffix
    names = []
    for here, source in sorted(sources.items()):
        names.append(f"{stem}-{'here' if here else 'base'}{suffix}")
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, out / names[-1])
    return Picture(stem, path, tuple(names))


def _svg(spec: dict[str, Any]) -> str:
    try:
        import vl_convert
    except ImportError as error:
        raise UserError(f"{error.name} is missing; install supertiny[review]") from None
    return vl_convert.vegalite_to_svg({**spec, "padding": PADDING}, allowed_base_urls=[])


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
