"""The tables of docs/scale.md are what `benchmarks.scale` makes of the files that are committed."""

from pathlib import Path

import pytest

from benchmarks import scale
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from tests.house import ROOT


def column(text, size):
    """Row -> cell under `size`, over all tables."""
    found, at = {}, None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if size in cells:
            at = cells.index(size)
        elif at is not None and len(cells) > at and not cells[0].startswith(":"):
            found[cells[0]] = cells[at]
        at = at if cells else None
    return found


SETTING = "profiles/chapters.set profiles/paper.set"


def test_a_column_is_what_the_plan_and_the_measured_rows_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(scale, "SIZES", {"200k": 200_000})
    made = scale.tables({"200k": scale.taken(SETTING, 200_000)}, read_json(scale.ROWS))
    page = Path("docs/scale.md").read_text().split(scale.BEGIN)[1].split(scale.END)[0]
    stale = f'docs/scale.md is stale: python -m benchmarks.scale --setting "{SETTING}" --page docs/scale.md'
    assert column(page, "200k") == column(made, "200k"), stale
    assert len(column(made, "200k")) > 20


def test_a_page_without_marks_is_refused(tmp_path):
    (tmp_path / "page.md").write_text("no marks\n")
    with pytest.raises(UserError, match="needs one line <!-- tables:begin -->"):
        scale.main(SETTING, tmp_path / "page.md")
