"""RL: a model that thinks learns from the rewards of its own replies (paper App. B, E; REINFORCE++-baseline)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.stage import run
from supertiny.model.train import TrainMachine
from supertiny.rl.config import RlConfig, RlMachine
from supertiny.sft.packs import read_training_set


def main(base: Path, functions: Path, examples: Path, dev: Path, out: Path, log: Path) -> None:
    """Train `base` on its replies to `examples`; write the best policy on `dev` to `out`, every step to `log`."""
    cfg, machine = load("rl", RlConfig), load_profile("train", TrainMachine)
    train = engines.get(load_profile("engines", Engines).rl, "rl")
    data = read_training_set(functions, examples, dev)
    train(base, data, out, log, cfg, machine, load_profile("rollouts", RlMachine))


if __name__ == "__main__":
    run(main)
