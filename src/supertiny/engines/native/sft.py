"""Supervised fine-tuning in this process (paper Eq. 1-2), on one device or data-parallel on many."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from supertiny.model.training import TrainMachine
from supertiny.model.tune import Plan, tune
from supertiny.prompt.thought import THINKS
from supertiny.sft.config import SftConfig
from supertiny.sft.training_set import TrainingSet


def sft(base: Path, data: TrainingSet, out: Path, log: Path, cfg: SftConfig, machine: TrainMachine) -> None:
    """Train `base` on the reply to each example; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        training = data.steps(tokenizer, cfg, machine)
        dev = data.dev_batches(tokenizer, machine.max_tokens)
        return Plan(training, dev, cfg.dev_points, record={THINKS: True} if data.replies else {})

    tune("sft", base, plan, out, log, cfg.fit, cfg.frozen, machine, data.seed, cfg, data)
