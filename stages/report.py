"""Report: every table, curve and picture, from what the stages found out (paper Tables 1-5, 7-8, 10-11)."""

from pathlib import Path

from supertiny.core.config import PARAMS, profile_path, read_yaml
from supertiny.core.files import whole_folder
from supertiny.core.stage import run
from supertiny.report.page import write_report
from supertiny.report.rows import GRAPH, clear, made, read_facts


def main(data: Path, results: Path, logs: Path, out: Path) -> None:
    """Fill folder `out` with the figures of the systems and steps that params.yaml declares.

    What no stage of dvc.yaml makes is removed from `results` and `logs`: this stage depends on both folders.
    """
    if GRAPH.is_file():
        outs = made(read_yaml(GRAPH), read_yaml(PARAMS))
        if gone := [name for folder in (results, logs) for name in clear(folder, outs)]:
            print(f"removed, for no stage makes it now: {', '.join(gone)}", flush=True)
    facts = read_facts(data, results, logs)
    with whole_folder(out) as folder:
        write_report(folder, facts, profile_path().stem)


if __name__ == "__main__":
    run(main)
