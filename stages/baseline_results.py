"""Baseline results: what the traditional system achieves and costs, judged as every model is (paper Table 2)."""

from pathlib import Path

from supertiny.baseline.frames import report
from supertiny.baseline.parts import DOMAIN, frame_folders
from supertiny.baseline.system import System, workload
from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import write_json, write_jsonl
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_functions
from supertiny.core.stage import run
from supertiny.measure.cost import cascade_cost
from supertiny.measure.evaluate import EvaluateSizes, labelled, rate, read_splits


def main(model: Path, functions: Path, test: Path, ood: Path, out: Path) -> None:
    """Answer `test` and `ood`; write rates, answers, cost and what the adapter loses to folder `out`."""
    prompt, sizes = load("prompt", PromptConfig), load_profile("evaluate", EvaluateSizes).models
    pool = read_functions(functions)
    splits = read_splits(test, ood, pool, sizes)
    answered = System(model, pool, prompt.history_turns).answer(labelled(splits), "answer")
    rates, rows = rate(splits, [one.reply for one in answered], [one.generation for one in answered], seed())
    rates["workload"] |= workload(answered[: len(splits["test"])])
    write_json(out / "rates.json", rates)
    write_jsonl(out / "answers.jsonl", rows)
    write_json(out / "cost.json", cascade_cost([[model / DOMAIN], frame_folders(model)], rates["workload"]))
    write_json(out / "adapter.json", report(pool, [answer for one in labelled(splits) for answer in one.answers]))


if __name__ == "__main__":
    run(main)
