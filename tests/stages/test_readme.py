"""README.md shows the results of this checkout, and never others."""

from pathlib import Path

import pytest

from stages.readme import BEGIN, END, filled, main
from supertiny.core.errors import UserError

TOP = Path(__file__).resolve().parents[2]
README = f"# A\n\n## Results\n\n{BEGIN}old\n{END}\nmore\n"
PAGE = "# Results\n\nProfile.\n\n## Table\n\n| a |\n|--:|\n| # |\n"


def test_the_readme_shows_the_page_of_results():
    readme, page = ((TOP / name).read_text(encoding="utf-8") for name in ("README.md", "metrics/results.md"))
    assert filled(readme, page) == readme, "README.md shows other results than metrics/results.md: run `make readme`"


def test_tables_are_copied_verbatim_under_a_heading_of_the_readme():
    """The title goes, `## Table` becomes `### Table`; everything outside of the markers stays."""
    inside = f"{BEGIN}\nProfile.\n\n### Table\n\n| a |\n|--:|\n| # |\n\n{END}"
    assert filled(README, PAGE) == f"# A\n\n## Results\n\n{inside}\nmore\n"


def test_filling_again_changes_nothing(tmp_path):
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "results.md").write_text(PAGE)
    for _ in range(2):
        main(tmp_path / "results.md", tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == filled(README, PAGE)


@pytest.mark.parametrize("readme", ["# A\n", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_missing_or_doubled_markers_are_an_error(readme):
    with pytest.raises(UserError, match="results:begin"):
        filled(readme, PAGE)
