"""Prototype results: what the large model achieves by in-context examples, judged as every model is (Table 2)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import Engines, load, load_profile, seed
from supertiny.core.files import write_json, write_jsonl
from supertiny.core.records import read_functions
from supertiny.core.stage import run
from supertiny.measure.evaluate import labelled, rate, read_splits
from supertiny.prototype.prototype import PrototypeConfig, PrototypeSizes, parsed, prototype


def main(llm: Path, encoder: Path, functions: Path, expert: Path, test: Path, ood: Path, out: Path) -> None:
    """Answer `test` and `ood`; write the rates and every answer with its verdict to folder `out`."""
    cfg, sizes = load("prototype", PrototypeConfig), load_profile("prototype", PrototypeSizes)
    chat = engines.get(load_profile("engines", Engines).chat, "chat")
    pool = read_functions(functions)
    splits = read_splits(test, ood, pool, sizes)
    model = prototype(encoder, expert, pool, chat(llm, load_profile("chat", ChatMachine)), cfg, seed())
    asked = labelled(splits)
    found = model.answer(asked, "prototype")
    rates, rows = rate(splits, parsed(asked, found, pool), found, seed())
    write_json(out / "rates.json", rates)
    write_jsonl(out / "answers.jsonl", rows)


if __name__ == "__main__":
    run(main)
