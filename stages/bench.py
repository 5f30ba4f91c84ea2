"""Bench: queries a second and response times of a system under 1..128 clients (paper Table 4)."""

from pathlib import Path

from supertiny.core.config import load, load_profile
from supertiny.core.files import read_jsonl, write_json
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.engines.systems import Places
from supertiny.engines.systems.served import open_served
from supertiny.measure.load import BenchConfig, BenchSizes, bench, machine_summary
from supertiny.measure.systems import SystemConfig


def main(name: str, model: Path, encoder: Path, data: Path, answers: Path, out: Path) -> None:
    """Load system `name`, made of `model`, with test queries; an answer differs when it is not the one in `answers`."""
    kind, sizes = load(f"systems.{name}", SystemConfig).kind, load_profile("sizes.bench", BenchSizes)
    pool = read_functions(data / "functions.json")
    written = {row["id"]: row["written"] for _, row in read_jsonl(answers)}
    examples = [example for example in read_examples(data / "test.jsonl", pool) if example.id in written]
    expected = [written[example.id] for example in examples]
    system = open_served(kind, Places(model=model, encoder=encoder, data=data, pool=pool))
    clients = [one for one in load("bench", BenchConfig).clients if one <= sizes.max_clients[kind]]
    with system.asked(examples) as ask:
        rounds = bench(ask, range(len(examples)), lambda at, g: g.text.strip() == expected[at], clients, sizes)
    write_json(out, {"engine": system.engine, "machine": machine_summary(), **rounds})


if __name__ == "__main__":
    run(main)
