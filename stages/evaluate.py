"""Evaluate: a system answers the test queries, every answer is judged; its size (paper Eq. 2, 6, App. J)."""

from pathlib import Path

from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import write_json, write_jsonl
from supertiny.core.records import read_functions
from supertiny.core.stage import run
from supertiny.engines.systems import Places, open_system
from supertiny.measure.evaluate import SplitSizes, labelled, rate, read_splits
from supertiny.measure.systems import SystemConfig


def main(name: str, model: Path, encoder: Path, data: Path, out: Path) -> None:
    """Ask system `name`, made of `model`, the first queries of both tests in `data`.

    Rates, answers with their verdicts, and sizes go to folder `out`.
    """
    cfg = load(f"systems.{name}", SystemConfig)
    pool = read_functions(data / "functions.json")
    system = open_system(cfg.kind, Places(model=model, encoder=encoder, data=data, pool=pool))
    sizes = load_profile(f"sizes.evaluate.{cfg.asked}", SplitSizes)
    splits = read_splits(data / "test.jsonl", data / "ood.jsonl", pool, sizes)
    rates, rows = rate(splits, system.answer(labelled(splits)), seed())
    write_json(out / "rates.json", rates)
    write_jsonl(out / "answers.jsonl", rows)
    write_json(out / "size.json", system.size())


if __name__ == "__main__":
    run(main)
