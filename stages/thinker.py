"""Thinker: fine-tune a model to think before it answers: a cold start on rule-made thoughts, or KD* (App. B, E)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.stage import run
from supertiny.model.train import TrainMachine
from supertiny.rl.thoughts import read_traces
from supertiny.sft.packs import SftConfig, read_training_set, with_replies


def main(base: Path, functions: Path, examples: Path, dev: Path, traces: Path, out: Path, log: Path) -> None:
    """Train `base` on the `traces` of `examples`; write the model to `out`, the loss curve to `log`."""
    cfg, machine = load("thinking", SftConfig), load_profile("train", TrainMachine)
    train = engines.get(load_profile("engines", Engines).sft, "sft")
    replies = {name: one.text for name, one in read_traces(traces).items()}
    data = with_replies(read_training_set(functions, examples, dev), replies)
    train(base, data, out, log, cfg, machine)


if __name__ == "__main__":
    run(main)
