"""The plots of dvc.yaml that differ between two revisions, as pictures: no page to open, nothing to fetch."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from supertiny.core.errors import UserError
from supertiny.core.files import write_text
from supertiny.review.tracked import dvc

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
