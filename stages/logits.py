"""Logits: the calibrated teacher's distribution at every response token, kept once for all students (App. G)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import write_json
from supertiny.core.machine import Engines
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.distill.cache import CacheReader, LogitsSizes, describe
from supertiny.distill.rows import LogitsConfig
from supertiny.model.training import TrainMachine
from supertiny.prompt.compressed import PromptConfig
from supertiny.sft.config import PackConfig, SftSizes


def main(teacher: Path, functions: Path, examples: Path, out: Path, report: Path) -> None:
    """Write the top-k log-probabilities of `teacher` on `examples` to folder `out`, what they take to `report`."""
    cfg, packing, prompt = load("logits", LogitsConfig), load("pack", PackConfig), load("prompt", PromptConfig)
    sizes, machine = load_profile("sft", SftSizes), load_profile("train", TrainMachine)
    logits = engines.get(load_profile("engines", Engines).logits, "logits")
    pool = read_functions(functions)
    rows = read_examples(examples, pool)[: sizes.examples or None]
    logits(teacher, rows, pool, out, cfg, load_profile("logits", LogitsSizes), packing, prompt, machine, seed())
    write_json(report, describe(CacheReader(out)))


if __name__ == "__main__":
    run(main)
