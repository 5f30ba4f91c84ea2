"""The prototype's ablation on more dev queries than a first run can afford.

    python -m benchmarks.ablation --llm data/models/llm --encoder data/models/encoder --dataset data/dataset \
        --queries 100 --out benchmarks/ablation

The variants are those of section `ablation` of params.yaml, and MORE of them. Every reply is kept in your
cache folder, so a killed run goes on where it was. Writes `out`.json and the table, `out`.md.
"""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import load, load_each, load_profile, seed
from supertiny.core.errors import UserError
from supertiny.core.files import write_json, write_text
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.measure.evaluate import clusters
from supertiny.measure.load import machine_summary
from supertiny.prototype.ablation import ablate
from supertiny.prototype.config import ChangeConfig, PrototypeConfig
from supertiny.prototype.prototype import prototype
from supertiny.report.steps.ablation import measured, section

MORE = {
    "two_examples": ChangeConfig(num_examples=2),
    "eight_examples": ChangeConfig(num_examples=8),
    "likest_first": ChangeConfig(examples="nearest_first"),
    "five_candidates": ChangeConfig(candidates=5),
    "with_descriptions": ChangeConfig(documents="description"),
    "whole_documents": ChangeConfig(documents="parameters"),
    "chain_of_thought": ChangeConfig(thought=True),
}


def main(llm: Path, encoder: Path, dataset: Path, queries: str, out: Path) -> None:
    """Let every variant answer the first `queries` of the dev split."""
    if not queries.isdigit():
        raise UserError(f"--queries: expected a number, got {queries!r}")
    cfg, variants = load("prototype", PrototypeConfig), load_each("ablation", ChangeConfig) | MORE
    chat = engines.chosen("chat")(llm, load_profile("chat", ChatMachine))
    pool = read_functions(dataset / "functions.json")
    model = prototype(encoder, dataset / "expert.jsonl", pool, chat, cfg, seed())
    dev = read_examples(dataset / "dev.jsonl", pool)[: int(queries)]
    found = measured(ablate(model, dev, variants, seed()), clusters(dev), seed())
    write_json(out.with_suffix(".json"), {"machine": machine_summary(), "variants": found})
    write_text(out.with_suffix(".md"), section(found) + "\n")


if __name__ == "__main__":
    run(main)
