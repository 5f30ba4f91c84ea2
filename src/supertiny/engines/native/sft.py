"""Supervised fine-tuning in this process (paper Eq. 1-2), on one device or data-parallel on many."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from transformers import PreTrainedTokenizerBase

from supertiny.core.calls import Pool
from supertiny.core.records import Example
from supertiny.model import checkpoint
from supertiny.model.batches import Pack, micro_batches, steps
from supertiny.model.training import TrainMachine
from supertiny.model.tune import Plan, tune
from supertiny.prompt.compressed import PromptConfig
from supertiny.sft.config import PackConfig, SftConfig
from supertiny.sft.pack import training_packs, unchanged


def sft(
    base: Path,
    examples: Sequence[Example],
    dev: Sequence[Example],
    pool: Pool,
    out: Path,
    log: Path,
    cfg: SftConfig,
    packing: PackConfig,
    prompt: PromptConfig,
    machine: TrainMachine,
    seed: int,
) -> None:
    """Train `base` on the first answer of each example; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        def packs(rows: Sequence[Example], how: PackConfig) -> list[Pack]:
            encode = checkpoint.encoder(tokenizer)
            return training_packs(rows, pool, encode, tokenizer.eos_token_id, how, prompt, Random(seed))

        shuffle = Random(cfg.shuffle_seed)
        training = steps(packs(examples, packing), cfg.groups_a_step, machine.max_tokens, cfg.epochs, shuffle)
        return Plan(training, micro_batches(packs(dev, unchanged(packing)), machine.max_tokens), cfg.dev_points)

    inputs = (cfg, packing, prompt, pool, examples, dev)
    tune("sft", base, plan, out, log, cfg.fit, cfg.train_embeddings, machine, seed, *inputs)
