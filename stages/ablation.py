"""Ablation: what each part of the prototype's prompt is worth, on the same dev queries."""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import load, load_each, load_profile, seed
from supertiny.core.files import write_json
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.prototype.ablation import ablate
from supertiny.prototype.config import ChangeConfig, PrototypeConfig, PrototypeSizes
from supertiny.prototype.prototype import prototype


def main(llm: Path, encoder: Path, data: Path, out: Path) -> None:
    """Answer the first dev queries in `data` under every variant of section `ablation`; write the rates to `out`."""
    cfg, sizes = load("prototype", PrototypeConfig), load_profile("sizes.prototype", PrototypeSizes)
    variants = load_each("ablation", ChangeConfig)
    chat = engines.chosen("chat")(llm, load_profile("chat", ChatMachine))
    pool = read_functions(data / "functions.json")
    model = prototype(encoder, data / "expert.jsonl", pool, chat, cfg, seed())
    dev = read_examples(data / "dev.jsonl", pool)[: sizes.ablation or None]
    write_json(out, ablate(model, dev, variants, seed()))


if __name__ == "__main__":
    run(main)
