"""Supervised fine-tuning in this process (paper Eq. 1-2), on one device or data-parallel on many."""

from pathlib import Path
from random import Random

from transformers import PreTrainedTokenizerBase

from supertiny.model.batches import micro_batches, steps
from supertiny.model.training import TrainMachine
from supertiny.model.tune import Plan, tune
from supertiny.sft.config import SftConfig
from supertiny.sft.training_set import TrainingSet


def sft(base: Path, data: TrainingSet, out: Path, log: Path, cfg: SftConfig, machine: TrainMachine) -> None:
    """Train `base` on the first answer of each example; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        packs, shuffle = data.packs(tokenizer), Random(cfg.shuffle_seed)
        training = steps(packs, cfg.groups_a_step, machine.max_tokens, cfg.epochs, shuffle)
        return Plan(training, micro_batches(data.dev_packs(tokenizer), machine.max_tokens), cfg.dev_points)

    tune("sft", base, plan, out, log, cfg.fit, cfg.train_embeddings, machine, data.seed, cfg, data)
