"""AR of the systems by every judge that was held against the experts, the llm judge among them (paper 3.1).

    python -m benchmarks.judges --llm data/models/llm --judge data/models/judge --dataset data/dataset \
        --results data/results --queries 40 --out benchmarks/judges

All judges are asked of the same answers, those to the first in-domain queries that every system answered. No stage asks
the llm judge of them: it takes long, or is paid for, and all answers would hang on its prompt and its model. Its
replies are kept in your cache folder, so a killed run goes on where it was. Writes `out`.json and the table, `out`.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import load, load_profile, seed
from supertiny.core.errors import UserError
from supertiny.core.files import write_json, write_text
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.core.stats import rated, share
from supertiny.judge.reference import Judge
from supertiny.measure.compare import Answered
from supertiny.measure.evaluate import bare, cluster, grown
from supertiny.measure.load import machine_summary
from supertiny.measure.systems import declared
from supertiny.model.classifier import load_labeller
from supertiny.prototype.config import JudgeConfig
from supertiny.prototype.judges import choose
from supertiny.report.rows import read_answers, readers
from supertiny.report.tables import marked, number, rate, table

MEASURES = "reference"
"""the judge by whose verdicts the systems are measured"""


def main(llm: Path, judge: Path, dataset: Path, results: Path, queries: str, out: Path) -> None:
    """Ask each calibrated judge of the answers to the first `queries`."""
    if not queries.isdigit():
        raise UserError(f"--queries: expected a number, got {queries!r}")
    cfg, pool = load("judge", JudgeConfig), read_functions(dataset / "functions.json")
    chat = engines.chosen("chat")(llm, load_profile("chat", ChatMachine))
    test, ood = (read_examples(dataset / f"{split}.jsonl", pool) for split in ("test", "ood"))
    asked, systems = {row.id: row for row in (*test, *ood, *bare(test), *grown(test, ood))}, declared()
    by_kind = readers(load("prompt", PromptConfig).answer)
    answers = {
        name: read_answers(results / name / "answers.jsonl", by_kind[one.kind], asked, pool, {})
        for name, one in systems.items()
    }
    ids = [row.id for row in test if all(row.id in of for of in answers.values())][: int(queries)]
    kinds = [kind for kind in cfg.calibrate if kind != MEASURES]
    judges = {kind: choose(replace(cfg, kind=kind), pool, lambda: load_labeller(judge), lambda: chat) for kind in kinds}
    found = {name: by_each([of[one] for one in ids], judges, seed()) for name, of in answers.items()}
    write_json(out.with_suffix(".json"), {"machine": machine_summary(), "systems": found})
    titles = {name: one.title for name, one in systems.items()}
    write_text(out.with_suffix(".md"), _table({titles[name]: row for name, row in found.items()}) + "\n")


def by_each(answers: Sequence[Answered], judges: Mapping[str, Judge], seed: int) -> dict[str, dict[str, Any]]:
    """Judge -> AR by its verdicts with its interval, and the share of them that the judge that measures gives too."""
    examples, replies = [one.example for one in answers], [one.reply for one in answers]
    of, measured = list(map(cluster, examples)), [one.verdict.correct for one in answers]
    said = {MEASURES: measured}
    said |= {kind: [verdict.correct for verdict in judge(examples, replies)] for kind, judge in judges.items()}
    return {
        kind: {
            **rated(of, right, seed),
            "agrees": share([one == other for one, other in zip(right, measured, strict=True)]),
        }
        for kind, right in said.items()
    }


def _table(found: Mapping[str, Mapping[str, dict[str, Any]]]) -> str:
    kinds = [kind for kind in next(iter(found.values())) if kind != MEASURES]
    header = ["model", "n", f"AR, {MEASURES}"]
    header += [cell for kind in kinds for cell in (f"AR, {kind}", "as the reference says")]
    body = []
    for title, row in found.items():
        n = row[MEASURES]["n"]
        others = [cell for kind in kinds for cell in (rate(row[kind]), marked(number(row[kind]["agrees"]), n))]
        body.append([title, number(n), rate(row[MEASURES]), *others])
    return table(header, body)


if __name__ == "__main__":
    run(main)
