"""Report: every table, curve and picture, from what the stages found out (paper Tables 1-5, 7-8, 10-11)."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from supertiny.core.calls import Pool
from supertiny.core.config import PARAMS, load, profile_path, read_yaml
from supertiny.core.files import whole_folder
from supertiny.core.records import read_functions
from supertiny.core.stage import run
from supertiny.judge.reference import Judge
from supertiny.prototype.config import JudgeConfig
from supertiny.prototype.judges import LogProbabilities, classifier
from supertiny.report.page import clear, made, write_report
from supertiny.report.rows import GRAPH, read_facts


def main(data: Path, results: Path, logs: Path, judge: Path, out: Path) -> None:
    """Fill folder `out` with the figures of the systems and steps that params.yaml declares.

    The classifier `judge`, where it was held against the experts, judges the systems' answers beside the one that
    measures. What no stage of dvc.yaml makes is removed from `results` and `logs`: this stage depends on both folders.
    """
    if GRAPH.is_file():
        outs = made(read_yaml(GRAPH), read_yaml(PARAMS))
        if gone := [name for folder in (results, logs) for name in clear(folder, outs)]:
            print(f"removed, for no stage makes it now: {', '.join(gone)}", flush=True)
    pool = read_functions(data / "functions.json")
    facts = read_facts(data, results, logs, pool, _others(pool, judge))
    with whole_folder(out) as folder:
        write_report(folder, facts, profile_path().stem)


def _others(pool: Pool, judge: Path) -> dict[str, Judge]:
    """The calibrated judges that can be asked of every answer; a language model takes too long, or is paid."""
    cfg = load("judge", JudgeConfig)
    judges = {"classifier": classifier(_asked_once(judge), pool, cfg.threshold)}
    return {kind: one for kind, one in judges.items() if kind in cfg.calibrate}


def _asked_once(folder: Path) -> LogProbabilities:
    """The classifier in `folder`, each text but once: many systems answer alike."""
    known: dict[str, Sequence[float]] = {}

    def label(texts: Sequence[str]) -> list[Sequence[float]]:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, _labeller(folder)(new) if new else (), strict=True))
        return [known[text] for text in texts]

    return label


@cache
def _labeller(folder: Path) -> LogProbabilities:
    from supertiny.model.classifier import load_labeller  # torch takes seconds, and a report without answers none

    return load_labeller(folder)


if __name__ == "__main__":
    run(main)
