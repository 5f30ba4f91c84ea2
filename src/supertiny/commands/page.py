"""Page: metrics/ as one HTML file that opens offline. It is made of tracked files alone and is not tracked itself."""

from pathlib import Path
from tempfile import TemporaryDirectory

from dvc.exceptions import DvcException
from dvc.repo import Repo

from supertiny.commands.plan.graph import GRAPH
from supertiny.core.config import PARAMS, load_each, profile_path
from supertiny.core.errors import UserError
from supertiny.core.files import write_text
from supertiny.core.git import provenance
from supertiny.measure.systems import ModelConfig, SystemConfig
from supertiny.report import html
from supertiny.report.html import Project, html_page
from supertiny.report.rows import read_curve

READ = ("results.md", "functions.csv", "response.csv")
"""of the folder of metrics, with all its pictures"""


def main(metrics: Path = Path("metrics"), out: Path = Path("metrics/report.html")) -> None:
    """Write the page of what folder `metrics` holds, with the figures it has as tables alone drawn too, to `out`."""
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder; name the file to write")
    for path in (GRAPH, *(metrics / name for name in READ)):
        if not path.is_file():
            raise UserError(f"{path} does not exist; go to the top folder of a project, and `dvc repro` it")
    titles = {**load_each("systems", SystemConfig, empty=True), **load_each("models", ModelConfig)}
    drawn = _drawn(metrics, {name: config.title for name, config in titles.items()})
    kept = {path.stem: path.read_bytes() for path in sorted(metrics.glob("*.svg"))}
    project = Project(
        origin=provenance(Path("dvc.lock")),
        profile=profile_path().stem,
        files={path.as_posix(): path.read_text(encoding="utf-8") for path in (PARAMS, profile_path())},
        stages=_stages(),
    )
    results = (metrics / READ[0]).read_text(encoding="utf-8")
    write_text(out, html_page(results, kept | drawn, project))
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB; open it in a browser")


def _drawn(metrics: Path, titles: dict[str, str]) -> dict[str, bytes]:
    """The pictures that the report stage does not draw."""
    points = read_curve(metrics / "functions.csv")
    ratios = read_curve(metrics / "response.csv")
    known = titles | {name: name for point in [*points, *ratios] if (name := point["model"]) not in titles}
    with TemporaryDirectory() as folder:
        outs = {name: Path(folder, f"{name}.svg") for name in ("functions", "response")}
        html.functions(points, known, outs["functions"])
        html.response(ratios, known, outs["response"])
        return {name: path.read_bytes() for name, path in outs.items()}


def _stages() -> dict[str, str]:
    """What each stage says it does, as DVC reads dvc.yaml: with the parameters put in."""
    try:
        with Repo() as repo:
            return {stage.addressing: stage.desc or "" for stage in repo.index.stages if stage.cmd}
    except DvcException as error:
        raise UserError(f"dvc: {error}") from error
