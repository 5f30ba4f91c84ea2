"""RL results: every model before and after reinforcement learning, and what each run earned (paper Tables 3 and 11)."""

from pathlib import Path

from supertiny.core.config import PARAMS, load_each, require, seed
from supertiny.core.files import read_json, write_json
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.measure.compare import comparison, splits
from supertiny.measure.evaluate import read_verdicts
from supertiny.measure.systems import ModelConfig, PolicyConfig
from supertiny.report.steps.rl import history

RUNS = ("teacher_rl", "tiny_rl", "tiny_star_rl")


def main(results: Path, logs: Path, functions: Path, test: Path, ood: Path, traces: Path, out: Path) -> None:
    """Compare the answers in `results` of models and policies, on the queries that all of them answered.

    Write it to `out`, with curves, beginnings and ends of the runs in `logs` and the counts of file `traces`.
    """
    models, policies = load_each("models", ModelConfig), load_each("policies", PolicyConfig)
    titles = {name: one.title for name, one in models.items() if one.asked == "models"}  # no compressed one
    titles |= {name: one.title for name, one in policies.items()}
    for name, one in policies.items():
        require(one.start in titles, f"{PARAMS}: policies.{name}.start: {one.start!r} is no model and no policy")
    runs = history({name: logs / f"{name}.csv" for name in RUNS})
    pool = read_functions(functions)
    columns = splits(read_examples(test, pool), read_examples(ood, pool))
    verdicts = {name: read_verdicts(results / name / "answers.jsonl") for name in titles}
    rows = comparison(verdicts, columns, {name: one.start for name, one in policies.items()}, seed())
    tokens = {name: read_json(results / name / "rates.json")["workload"]["new_tokens"] for name in titles}
    shown = {name: {"title": titles[name], "tokens": tokens[name], **row} for name, row in rows.items()}
    write_json(out, {"models": shown, "runs": runs, "traces": read_json(traces)})


if __name__ == "__main__":
    run(main)
