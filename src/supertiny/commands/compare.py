"""Compare: this checkout against another revision, as a pull request shows it; the exit code says if its gates hold."""

import sys
from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.files import whole_folder, write_text
from supertiny.core.git import git
from supertiny.measure.systems import declared
from supertiny.report import review
from supertiny.report.compare import Figures, load_gates, verdicts
from supertiny.report.review import Found, Revision, holds, pictures, write_page

REFUSED = 3
"""exit code where a gate does not hold; 1 and 2 are errors"""
REPORT, PLOTS = "report.md", "plots"


def main(base: str, out: Path = Path("review"), url: str | None = None) -> None:
    """Write the report of this checkout against revision `base` to folder `out`; exit 3 where a gate does not hold.

    With `url`, pictures that git tracks are linked as <url>/<commit>/<path>, for a comment where no file can be put.
    """
    if out.exists() and not (out / REPORT).is_file():
        raise UserError(f"--out: {out} exists and is no report; remove it or name another folder")
    with whole_folder(out) as folder:
        found = _found(base, folder / PLOTS)
        write_text(folder / REPORT, write_page(found, url))
    print(f"{out / REPORT}: the gates {'hold' if holds(found) else 'do not hold'}")
    if not holds(found):
        sys.exit(REFUSED)


def _found(base: str, plots: Path) -> Found:
    systems, commit = declared(), review.revision(base)
    gates, changed = load_gates(systems), git("status", "--porcelain")
    before, after = review.metrics(base)
    params, machines = review.params(base), review.machines(base)
    profiled = any(change.name == "profile" for change in params)
    gone = sorted(_rows(before) - systems.keys())
    head, branch = git("rev-parse", "HEAD"), git("rev-parse", "--abbrev-ref", "HEAD")
    same, rerun = machines[0] == machines[1], review.rerun(base)
    return Found(
        base=Revision(name=base if base != commit else commit[:9], commit=commit),
        here=Revision(name=branch if branch != "HEAD" else head[:9], commit=head),
        titles={name: config.title for name, config in systems.items()} | {name: name for name in gone},
        before=before,
        after=after,
        verdicts=verdicts(before, after, gates, timed=same),
        stale=review.stale(),
        notes=[
            *(["Another profile: the models and queries are of other sizes."] if profiled else []),
            *(["Served by another machine or engine: QPS is shown, not judged."] if not same else []),
            *(["The checkout differs from its commit."] if changed else []),
        ],
        params=params,
        rerun=rerun,
        graph=review.graph(),
        pictures=pictures(base, plots),
    )


def _rows(figures: Figures) -> set[str]:
    """The systems of a revision, whether params.yaml still names them or not."""
    return {name.split(".")[0] for name in figures if name.count(".") == 1 and name.endswith(".gflops")}
