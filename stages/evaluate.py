"""Evaluate: let a model answer the test queries and judge every answer (paper Eq. 2, 6)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import DecodeConfig, GenerateMachine
from supertiny.core.config import Engines, load, load_profile, seed
from supertiny.core.files import write_json, write_jsonl
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_functions
from supertiny.core.stage import run
from supertiny.measure.evaluate import EvaluateSizes, evaluate, read_splits


def main(model: Path, functions: Path, test: Path, ood: Path, out: Path, answers: Path, asked: str) -> None:
    """Answer `test` and `ood` with `model`; write the rates to `out`, every answer with its verdict to `answers`.

    As many as the profile asks of `asked`: models, policies or compressed.
    """
    prompt, decode = load("prompt", PromptConfig), load("decode", DecodeConfig)
    machine = load_profile("generate", GenerateMachine)
    generate = engines.get(load_profile("engines", Engines).generate, "generate")
    pool = read_functions(functions)
    splits = read_splits(test, ood, pool, getattr(load_profile("evaluate", EvaluateSizes), asked))
    rates, rows = evaluate(splits, pool, lambda queries: generate(model, queries, decode, machine), prompt, seed())
    write_json(out, rates)
    write_jsonl(answers, rows)


if __name__ == "__main__":
    run(main)
