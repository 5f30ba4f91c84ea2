"""Teacher correction on many GPUs (paper App. I): the model of the native engine, but for rounding."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from supertiny.engines.megatron._job import Plan, train
from supertiny.model.training import TrainMachine
from supertiny.recover.texts import GeneralSet, training_steps
from supertiny.sft.config import SftConfig


def correct(base: Path, data: GeneralSet, out: Path, log: Path, cfg: SftConfig, machine: TrainMachine) -> None:
    """Train `base` on the answers of `data`; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase, shared: TrainMachine) -> Plan:
        steps = training_steps(data.branches(tokenizer), cfg, shared)
        return Plan(steps, data.dev_batches(tokenizer, machine.max_tokens), cfg.dev_points)

    train("correct", base, plan, out, log, cfg.fit, cfg.frozen, machine, data.seed, cfg, data)
