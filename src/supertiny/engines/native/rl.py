"""Reinforcement learning in this process: REINFORCE++-baseline (paper App. B, E; algorithms section 9)."""

from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.files import whole_folder
from supertiny.core.stage import resumable
from supertiny.model import checkpoint
from supertiny.model.train import ResponseLogits, Run, TrainMachine, fit
from supertiny.rl.config import RlConfig, RlMachine
from supertiny.rl.rollouts import Practice
from supertiny.sft.packs import TrainingSet


def rl(
    base: Path, data: TrainingSet, out: Path, log: Path, cfg: RlConfig, machine: TrainMachine, rolling: RlMachine
) -> None:
    """Train `base` on the rewards of its own replies; write the best policy on dev to `out`, every step to `log`."""
    if machine.processes > 1:
        raise UserError(
            f"profile: train.processes: {machine.processes}, but engine native does reinforcement learning in one "
            "process; set it to 1, or engines.rl: openrlhf"
        )
    with resumable(f"rl-{out.name}", base, cfg, machine, rolling, data) as state:
        practice = Practice(base, data, cfg, machine, rolling, state)
        run = Run(practice, practice.load, dev_points=cfg.dev_points, watch=practice)
        fit(ResponseLogits(practice.policy), run, practice.loss, cfg.fit, machine, data.seed, log, state)
        best = practice.best()
        with whole_folder(out) as partial:
            checkpoint.save(best, practice.tokenizer, partial)
