"""Supervised fine-tuning in this process (paper Eq. 1-2), on one device or data-parallel on many."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from supertiny.core.calls import Pool
from supertiny.core.files import whole_folder
from supertiny.core.launch import is_first, on_processes
from supertiny.core.records import Example
from supertiny.core.resume import resumable
from supertiny.model import checkpoint
from supertiny.model.batches import Pack, collate
from supertiny.model.fit import ResponseLogits, Run, cross_entropy, fit
from supertiny.model.training import TrainMachine
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
    on_processes(machine.processes)
    tokenizer, model = checkpoint.load_tokenizer(base), checkpoint.load_model(base)
    model.get_input_embeddings().requires_grad_(cfg.train_embeddings)
    encode, rng = checkpoint.encoder(tokenizer), Random(seed)

    def packed(rows: Sequence[Example], dropout: float = 0.0) -> list[Pack]:
        groups = group(rows, cfg.group_size, rng)
        groups = [drop_function(one, rng) if rng.random() < dropout else one for one in groups]
        return [pack(one, pool, encode, tokenizer.eos_token_id, prompt) for one in groups]

    plan = steps(packed(examples, cfg.function_dropout), cfg.groups_a_step, machine.max_tokens, cfg.epochs, rng)
    run = Run(
        plan,
        load=lambda packs: collate(packs, tokenizer.pad_token_id),
        dev=micro_batches(packed(dev), machine.max_tokens),
        dev_points=cfg.dev_points,
    )
    with resumable("sft", base, cfg, prompt, machine, seed, pool, examples, dev) as state:
        fit(ResponseLogits(model), run, cross_entropy, cfg.fit, machine, seed, log, state)
        if is_first():
            with whole_folder(out) as partial:
                checkpoint.save(model, tokenizer, partial)
