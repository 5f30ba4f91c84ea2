"""Bench: queries a second and response time of a model under 1..128 clients (paper Table 4)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import DecodeConfig, GenerateMachine, requests
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.files import read_jsonl, write_json
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.measure.load import BenchConfig, BenchSizes, bench, machine_summary


def main(model: Path, functions: Path, test: Path, answers: Path, out: Path) -> None:
    """Load `model` with the queries of `test`; an answer differs when it is not the one in `answers`."""
    cfg, sizes = load("bench", BenchConfig), load_profile("bench", BenchSizes)
    prompt, decode = load("prompt", PromptConfig), load("decode", DecodeConfig)
    engine = load_profile("engines", Engines).serve
    serve = engines.get(engine, "serve")
    pool = read_functions(functions)
    written = {row["id"]: row["written"] for _, row in read_jsonl(answers)}
    examples = [example for example in read_examples(test, pool) if example.id in written]
    asked = requests(examples, pool, prompt)
    expected = {request.prompt: written[example.id] for request, example in zip(asked, examples, strict=True)}
    with serve(model, decode, load_profile("generate", GenerateMachine)) as ask:
        rounds = bench(ask, asked, lambda r, g: g.text.strip() == expected[r.prompt], cfg, sizes)
    write_json(out, {"engine": engine, "machine": machine_summary(), **rounds})


if __name__ == "__main__":
    run(main)
