"""Student RFT: fine-tune a student on the accepted answers alone, without a teacher (paper Eq. 1-2, Table 7)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load, load_profile, seed
from supertiny.core.machine import Engines
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.training import TrainMachine
from supertiny.prompt.compressed import PromptConfig
from supertiny.sft.config import PackConfig, SftConfig, SftSizes


def main(base: Path, functions: Path, examples: Path, dev: Path, out: Path, log: Path) -> None:
    """Train student `base` on the labelled `examples`; write the model to `out`, the loss curve to `log`."""
    cfg, packing, prompt = load("teaching", SftConfig), load("pack", PackConfig), load("prompt", PromptConfig)
    sizes, machine = load_profile("sft", SftSizes), load_profile("train", TrainMachine)
    train = engines.get(load_profile("engines", Engines).sft, "sft")
    pool = read_functions(functions)
    rows = read_examples(examples, pool)[: sizes.examples or None]
    dev_rows = read_examples(dev, pool)[: sizes.dev_examples]
    train(base, rows, dev_rows, pool, out, log, cfg, packing, prompt, machine, seed())


if __name__ == "__main__":
    run(main)
