"""Prototype bench: queries a second and response time of the large model with its full prompt (Table 4)."""

from dataclasses import replace
from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine, DecodeConfig
from supertiny.core.config import Engines, load, load_profile, seed
from supertiny.core.files import read_jsonl, write_json
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.measure.load import BenchConfig, BenchSizes, bench, machine_summary
from supertiny.prototype.prototype import PrototypeConfig, PrototypeSizes, prototype


def main(llm: Path, encoder: Path, functions: Path, expert: Path, test: Path, answers: Path, out: Path) -> None:
    """Load `llm` with the full prompts of `test`; an answer differs when it is not the one in `answers`."""
    cfg, sizes = load("prototype", PrototypeConfig), load_profile("bench", BenchSizes)
    sizes = replace(sizes, max_clients=load_profile("prototype", PrototypeSizes).max_clients)
    engine = load_profile("engines", Engines).chat
    serve = engines.get(engine, "serve")
    pool = read_functions(functions)
    written = {row["id"]: row["written"] for _, row in read_jsonl(answers)}
    asked = [example for example in read_examples(test, pool) if example.id in written]
    chats = prototype(encoder, expert, pool, lambda *_: [], cfg, seed()).chats(asked)
    expected = {chat: written[example.id] for chat, example in zip(chats, asked, strict=True)}
    decode = DecodeConfig(constrained=cfg.constrained, max_new_tokens=cfg.chat.max_new_tokens)
    with serve(llm, decode, load_profile("chat", ChatMachine)) as ask:
        rounds = bench(ask, chats, lambda c, g: g.text.strip() == expected[c], load("bench", BenchConfig), sizes)
    write_json(out, {"engine": engine, "machine": machine_summary(), **rounds})


if __name__ == "__main__":
    run(main)
