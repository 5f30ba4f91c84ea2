"""Teacher correction in this process: a general teacher first learns the texts that it will teach on (paper App. I)."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from supertiny.model.training import TrainMachine
from supertiny.model.tune import Plan, tune
from supertiny.recover.texts import GeneralSet, training_steps
from supertiny.sft.config import SftConfig


def correct(base: Path, data: GeneralSet, out: Path, log: Path, cfg: SftConfig, machine: TrainMachine) -> None:
    """Train `base` on the answers of `data`; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        training = training_steps(data.branches(tokenizer), cfg, machine)
        return Plan(training, data.dev_batches(tokenizer, machine.max_tokens), cfg.dev_points)

    tune("correct", base, plan, out, log, cfg.fit, cfg.frozen, machine, data.seed, cfg, data)
