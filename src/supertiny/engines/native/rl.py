"""Reinforcement learning in this process: REINFORCE++-baseline (paper App. B, E)."""

from supertiny.core.errors import UserError
from supertiny.core.files import whole_folder
from supertiny.core.stage import resumable
from supertiny.model import checkpoint
from supertiny.model.train import Job, ResponseLogits, Run, fit
from supertiny.rl.config import RlConfig, RlMachine
from supertiny.rl.rollouts import Practice
from supertiny.sft.packs import TrainingSet


def rl(job: Job, data: TrainingSet, cfg: RlConfig, rolling: RlMachine) -> None:
    """Train the job's base on the rewards of its own replies; write the best policy on dev and a log of all steps."""
    machine = job.machine
    if machine.processes > 1:
        raise UserError(
            f"profile: train.processes: {machine.processes}, but engine native does reinforcement learning in one "
            "process; set it to 1, or engines.rl: openrlhf"
        )
    with resumable(f"rl-{job.out.name}", job.base, cfg, machine, rolling, data) as state:
        practice = Practice(job.base, data, cfg, machine, rolling, state)
        run = Run(practice, practice.load, practice.loss, dev_points=cfg.dev_points, watch=practice)
        fit(ResponseLogits(practice.policy, cfg.frozen.prefix), run, cfg.fit, machine, data.seed, job.log, state)
        best = practice.best()
        with whole_folder(job.out) as partial:
            checkpoint.save(best, practice.tokenizer, partial)
