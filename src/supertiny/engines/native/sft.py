"""Supervised fine-tuning in this process (paper Eq. 1-2), on one device or data-parallel on many."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from transformers import PreTrainedTokenizerBase

from supertiny.core.calls import Pool
from supertiny.core.records import Example
from supertiny.model import checkpoint
from supertiny.model.batches import Pack
from supertiny.model.training import TrainMachine
from supertiny.model.tune import Plan, tune
from supertiny.prompt.compressed import PromptConfig
from supertiny.sft.config import SftConfig
from supertiny.sft.pack import drop_function, group, micro_batches, pack, steps


def sft(
    base: Path,
    examples: Sequence[Example],
    dev: Sequence[Example],
    pool: Pool,
    out: Path,
    log: Path,
    cfg: SftConfig,
    prompt: PromptConfig,
    machine: TrainMachine,
    seed: int,
) -> None:
    """Train `base` on the first answer of each example; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        encode, rng = checkpoint.encoder(tokenizer), Random(seed)

        def packed(rows: Sequence[Example], dropout: float = 0.0) -> list[Pack]:
            groups = group(rows, cfg.group_size, rng)
            groups = [drop_function(one, rng) if rng.random() < dropout else one for one in groups]
            return [pack(one, pool, encode, tokenizer.eos_token_id, prompt) for one in groups]

        training = steps(packed(examples, cfg.function_dropout), cfg.groups_a_step, machine.max_tokens, cfg.epochs, rng)
        return Plan(training, micro_batches(packed(dev), machine.max_tokens), cfg.dev_points)

    inputs = (cfg, prompt, pool, examples, dev)
    tune("sft", base, plan, out, log, cfg.fit, cfg.train_embeddings, machine, seed, *inputs)
