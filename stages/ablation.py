"""Ablation: what each part of the prototype's prompt is worth, on the same dev queries."""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import Engines, load, load_each, load_profile, seed
from supertiny.core.files import write_json
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.prototype.ablation import ChangeConfig, ablate
from supertiny.prototype.prototype import PrototypeConfig, PrototypeSizes, prototype


def main(llm: Path, encoder: Path, functions: Path, expert: Path, dev: Path, out: Path) -> None:
    """Answer the first queries of `dev` under every variant of section `ablation`; write the rates to `out`."""
    cfg, sizes = load("prototype", PrototypeConfig), load_profile("prototype", PrototypeSizes)
    variants = load_each("ablation", ChangeConfig)
    chat = engines.get(load_profile("engines", Engines).chat, "chat")
    pool = read_functions(functions)
    model = prototype(encoder, expert, pool, chat(llm, load_profile("chat", ChatMachine)), cfg, seed())
    write_json(out, ablate(model, read_examples(dev, pool)[: sizes.ablation or None], variants, seed()))


if __name__ == "__main__":
    run(main)
