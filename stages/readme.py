"""Readme: copy metrics/results.md into README.md, between its two markers. No stage of the graph: `make readme`."""

from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.files import write_text
from supertiny.core.stage import run

BEGIN, END = "<!-- results:begin -->\n", "<!-- results:end -->\n"


def main(results: Path, readme: Path) -> None:
    """Replace what `readme` shows of the results by the page `results`."""
    write_text(readme, filled(readme.read_text(encoding="utf-8"), results.read_text(encoding="utf-8")))


def filled(readme: str, page: str) -> str:
    """The readme with the page between its markers, and blank lines around it."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise UserError(f"the readme needs one line {BEGIN.strip()} and, below it, one line {END.strip()}")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{inlined(page)}\n{END}{rest.split(END)[1]}"


def inlined(page: str) -> str:
    """The page without its title, its headings a level deeper, as they stand under one of the readme's own."""
    _, _, rest = page.partition("\n\n")
    return "".join(f"#{line}" if line.startswith("#") else line for line in rest.splitlines(keepends=True))


if __name__ == "__main__":
    run(main)
