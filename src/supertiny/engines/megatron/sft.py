"""Supervised fine-tuning on many GPUs (paper Eq. 1-2): the model of the native engine, but for rounding."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from supertiny.engines.megatron._job import Plan, train
from supertiny.model.training import TrainMachine
from supertiny.prompt.thought import THINKS
from supertiny.sft.config import SftConfig
from supertiny.sft.training_set import TrainingSet


def sft(base: Path, data: TrainingSet, out: Path, log: Path, cfg: SftConfig, machine: TrainMachine) -> None:
    """Train `base` on the reply to each example; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase, shared: TrainMachine) -> Plan:
        steps = data.steps(tokenizer, cfg, shared)
        dev = data.dev_batches(tokenizer, machine.max_tokens)
        return Plan(steps, dev, cfg.dev_points, record={THINKS: True} if data.replies else {})

    train("sft", base, plan, out, log, cfg.fit, cfg.frozen, machine, data.seed, cfg, data)
