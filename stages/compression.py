"""Compression: what pruning and quantizing each model cost, and the smallest one as good (paper Tables 2, 8, 10)."""

from pathlib import Path

from supertiny.compress.quantize import QuantizedConfig
from supertiny.compress.search import PruneConfig, PrunedConfig
from supertiny.core.config import load, load_each, seed
from supertiny.core.files import read_json, write_json
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.measure.compare import Compressed, kept, smallest_within
from supertiny.measure.evaluate import read_verdicts
from supertiny.measure.systems import ModelConfig


def main(teacher: str, results: Path, importance: Path, functions: Path, test: Path, out: Path) -> None:
    """Compare the answers in `results` of every pruned and quantized model with its base's; write it to `out`."""
    models, pruned = load_each("models", ModelConfig), load_each("pruned", PrunedConfig)
    quantized = load_each("quantized", QuantizedConfig)
    bases = dict.fromkeys(("trimmed", *pruned), load("prune", PruneConfig).base)
    bases |= {name: one.base for name, one in quantized.items()}
    ids = [row.id for row in read_examples(test, read_functions(functions))]
    verdicts = {name: read_verdicts(results / name / "answers.jsonl") for name in models}
    costs = {name: read_json(results / name / "cost.json") for name in ("prototype", *models)}
    rows = {}
    for name, base in bases.items():
        bits = quantized[name].bits if name in quantized else None
        made = Compressed(verdicts=verdicts[name], base=verdicts[base], bits=bits)
        rows[name] = {"title": models[name].title, "base": models[base].title, **kept(made, ids, seed())}
    sizes = {name: costs[name]["weights_mb"] for name in models}
    small = smallest_within(verdicts, sizes, teacher, ids, seed())
    searches = {name: read_json(results / name / "search.json") for name in pruned}
    titles = {"prototype": "prototype"} | {name: one.title for name, one in models.items()}
    measured = {"rows": rows, "smallest": small, "costs": costs, "titles": titles}
    write_json(out, {**measured, "searches": searches, "importance": read_json(importance)["layers"]})


if __name__ == "__main__":
    run(main)
