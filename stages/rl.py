"""RL: a model that thinks learns from the rewards of its own replies (paper App. B, E; REINFORCE++-baseline)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load, load_profile
from supertiny.core.stage import run
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.rl.config import RlConfig, RlMachine
from supertiny.sft.packs import read_training_set


def main(name: str, base: Path, rows: Path, data: Path, out: Path, log: Path) -> None:
    """Train `base` on its replies to `rows`; write the best policy on dev to `out`, every step to `log`."""
    cfg, rolling = load("rl", RlConfig), load_profile("rollouts", RlMachine)
    learn = engines.chosen("rl")
    learn(Job(base, out, log, load_profile("train", TrainMachine)), read_training_set(data, rows), cfg, rolling)


if __name__ == "__main__":
    run(main)
