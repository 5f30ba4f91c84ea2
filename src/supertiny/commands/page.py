"""Page: metrics/ as one HTML file that opens offline, and the table of the readme; made of tracked files alone."""

from pathlib import Path
from tempfile import TemporaryDirectory

from dvc.exceptions import DvcException
from dvc.repo import Repo

from supertiny.core.config import EXTENDS, PARAMS, PROFILES, profile_path, read_yaml
from supertiny.core.errors import UserError
from supertiny.core.files import write_text
from supertiny.core.git import provenance
from supertiny.measure.systems import declared
from supertiny.report import html
from supertiny.report.html import Project, html_page
from supertiny.report.rows import GRAPH, read_curve
from supertiny.report.tables import readme_tables

READ = ("results.md", "functions.csv", "response.csv", "pareto.csv")
"""of the folder of metrics, with all its pictures"""


BEGIN, END = "<!-- results:begin -->\n", "<!-- results:end -->\n"


def main(metrics: Path = Path("metrics"), out: Path = Path("metrics/report.html"), readme: Path | None = None) -> None:
    """Write the page of what folder `metrics` holds, with the figures it has as tables alone drawn too, to `out`.

    With `readme`, a Markdown file, only put the systems' figures, beside the paper's, between the two markers there.
    """
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder; name the file to write")
    for path in (GRAPH, *(metrics / name for name in READ)):
        if not path.is_file():
            raise UserError(f"{path} does not exist; go to the top folder of a project, and `dvc repro` it")
    titles = {name: config.title for name, config in declared().items()}
    if readme is not None:
        text = readme.read_text(encoding="utf-8")
        write_text(readme, filled(text, readme_tables(read_curve(metrics / READ[-1]), titles)))
        return
    drawn = _drawn(metrics, titles)
    kept = {path.stem: path.read_bytes() for path in sorted(metrics.glob("*.svg"))}
    project = Project(
        origin=provenance(Path("dvc.lock")),
        profile=profile_path().stem,
        files={path.as_posix(): path.read_text(encoding="utf-8") for path in (PARAMS, *_profiles())},
        stages=_stages(),
    )
    results = (metrics / READ[0]).read_text(encoding="utf-8")
    write_text(out, html_page(results, kept | drawn, project))
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB; open it in a browser")


def filled(readme: str, shown: str) -> str:
    """The readme with `shown` between its markers, and blank lines around it."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise UserError(f"the readme needs one line {BEGIN.strip()} and, below it, one line {END.strip()}")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{shown}\n\n{END}{rest.split(END)[1]}"


def _profiles() -> list[Path]:
    """The chosen profile and those that it extends."""
    found = [profile_path()]
    while (base := read_yaml(found[-1]).get(EXTENDS)) is not None:
        found.append(PROFILES / f"{base}.yaml")
    return found


def _drawn(metrics: Path, titles: dict[str, str]) -> dict[str, bytes]:
    """The pictures that the report stage does not draw."""
    points = read_curve(metrics / "functions.csv")
    ratios = read_curve(metrics / "response.csv")
    known = titles | {name: name for point in [*points, *ratios] if (name := point["model"]) not in titles}
    with TemporaryDirectory() as folder:
        outs = {name: Path(folder, f"{name}.svg") for name in ("functions", "response")}
        html.functions(points, known, outs["functions"])
        if ratios:  # else nothing is served
            html.response(ratios, known, outs["response"])
        return {name: path.read_bytes() for name, path in outs.items() if path.is_file()}


def _stages() -> dict[str, str]:
    """What each stage says it does, as DVC reads dvc.yaml: with the parameters put in."""
    try:
        with Repo() as repo:
            return {stage.addressing: stage.desc or "" for stage in repo.index.stages if stage.cmd}
    except DvcException as error:
        raise UserError(f"dvc: {error}") from error
