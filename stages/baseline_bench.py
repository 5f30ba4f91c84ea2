"""Baseline bench: queries a second and response time of the traditional system under 1..128 clients (Table 4)."""

from pathlib import Path

from supertiny.baseline.parts import BaselineSizes
from supertiny.baseline.system import System
from supertiny.core.ask import Generation
from supertiny.core.batching import batched
from supertiny.core.config import load, load_profile
from supertiny.core.files import read_jsonl, write_json
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.core.stage import run
from supertiny.measure.load import BenchConfig, BenchSizes, bench, machine_summary


def main(model: Path, functions: Path, test: Path, answers: Path, out: Path) -> None:
    """Load `model` with the queries of `test`; an answer differs when its frame is not the one in `answers`."""
    cfg, sizes = load("bench", BenchConfig), load_profile("bench", BenchSizes)
    pool = read_functions(functions)
    written = {row["id"]: row["written"] for _, row in read_jsonl(answers)}
    asked = [example for example in read_examples(test, pool) if example.id in written]
    system = System(model, pool, load("prompt", PromptConfig).history_turns)
    at_once = load_profile("baseline", BaselineSizes).batch_size

    def answers_to(examples: list[Example]) -> list[Generation]:
        return [one.generation for one in system.answer(examples)]

    with batched(answers_to, at_once) as ask:
        rounds = bench(ask, asked, lambda example, g: g.text == written[example.id], cfg, sizes)
    write_json(out, {"engine": "native", "machine": machine_summary(), **rounds})


if __name__ == "__main__":
    run(main)
