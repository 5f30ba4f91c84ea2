"""Distill: teach a student its teacher's next-token distribution (paper 3.2, Eq. 3-5)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load, load_profile, seed
from supertiny.core.machine import Engines
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.distill.config import DistillConfig
from supertiny.model.training import TrainMachine
from supertiny.prompt.compressed import PromptConfig
from supertiny.sft.config import PackConfig, SftConfig, SftSizes


def main(student: Path, logits: Path, functions: Path, examples: Path, dev: Path, out: Path, log: Path) -> None:
    """Train `student` on the cached teacher `logits` of `examples`; write it to `out`, the loss curve to `log`."""
    cfg, teaching = load("distill", DistillConfig), load("teaching", SftConfig)
    packing, prompt = load("pack", PackConfig), load("prompt", PromptConfig)
    sizes, machine = load_profile("sft", SftSizes), load_profile("train", TrainMachine)
    distill = engines.get(load_profile("engines", Engines).distill, "distill")
    pool = read_functions(functions)
    rows = read_examples(examples, pool)[: sizes.examples or None]
    dev_rows = read_examples(dev, pool)[: sizes.dev_examples]
    distill(student, logits, rows, dev_rows, pool, out, log, cfg, teaching, packing, prompt, machine, seed())


if __name__ == "__main__":
    run(main)
