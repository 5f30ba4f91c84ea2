"""Training speed: our loop against a plain `transformers.Trainer`, on the same examples in the same process.

    python -m benchmarks.train_speed --model data/models/llm --dataset data/dataset --out benchmarks/train_speed.json

Both take the same examples in each optimizer step, in the same number format. A "token" is one of an example
written out alone (prompt and answer), so sharing a prefix counts as the speed that it is. Three ways in turn,
several rounds: Trainer; our loop with one example a pack (no shared prefix); our loop with shared prefixes.
"""

import random
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerBase, Trainer, TrainingArguments

from supertiny.core.config import load, load_profile
from supertiny.core.files import write_json
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.measure.load import machine_summary
from supertiny.model import checkpoint
from supertiny.model.batches import Pack, collate, micro_batches
from supertiny.model.config import TrainingConfig, TrainMachine
from supertiny.model.hardware import compute_dtype
from supertiny.model.train import ResponseLogits, Run, cross_entropy, fit
from supertiny.model.trained import way_to_train
from supertiny.sft.groups import Group, PackConfig, drawn
from supertiny.sft.packs import pack

ROUNDS, STEPS, EXAMPLES_A_STEP = 3, 8, 16
"""a step as stage sft takes it: one group"""
POOL = 2000
"""examples that groups are formed of"""


class Rows(Dataset[dict[str, list[int]]]):
    """Each example alone, its prompt masked in the labels."""

    def __init__(self, packs: list[Pack]) -> None:
        self.rows = [
            {"input_ids": p.prefix + b.prompt + b.response, "labels": [-100] * len(p.prefix + b.prompt) + b.response}
            for p in packs
            for b in p.branches
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return self.rows[index]


def main(model: Path, dataset: Path, out: Path) -> None:
    """Time every way for a few steps in turn; write tokens per second and the ratios, round by round."""
    cfg, prompt, machine = way_to_train("sft"), load("prompt", PromptConfig), load_profile("train", TrainMachine)
    tokenizer = checkpoint.load_tokenizer(model)
    pool = read_functions(dataset / "functions.json")
    examples = read_examples(dataset / "train.reference.jsonl", pool)

    packing = replace(load("pack", PackConfig).as_they_are(), group_size=EXAMPLES_A_STEP)
    groups = [one for one, _ in drawn(examples[:POOL], pool, packing, random.Random(0))]
    whole = [one for one in groups if len(one.examples) == EXAMPLES_A_STEP]

    def packed(one: Group) -> Pack:
        return pack(one, pool, checkpoint.encoder(tokenizer), tokenizer.eos_token_id, prompt)

    def step_packs(offset: int, shared: bool) -> list[list[Pack]]:
        """For each step its packs: one of a whole group, or one an example with the same candidates."""
        steps = whole[offset : offset + STEPS]
        return [[packed(one)] if shared else [packed(Group((row,))) for row in one.examples] for one in steps]

    def ours(steps: list[list[Pack]]) -> float:
        plan = Run(
            [micro_batches(step, machine.max_tokens) for step in steps],
            lambda micro: collate(micro, tokenizer.pad_token_id),
            cross_entropy,
        )
        with tempfile.TemporaryDirectory() as scratch:
            weights = checkpoint.load_model(model)
            started = time.perf_counter()
            fit(ResponseLogits(weights), plan, cfg.fit, machine, 0, Path(scratch) / "log.csv", Path(scratch))
            return time.perf_counter() - started

    def compare(offset: int) -> dict[str, float]:
        alone, shared = step_packs(offset, shared=False), step_packs(offset, shared=True)
        rows = Rows([one for step in alone for one in step])
        tokens = sum(len(row["input_ids"]) for row in rows.rows)
        seconds = {
            "trainer": _trainer(model, tokenizer, rows, cfg, machine),
            "alone": ours(alone),
            "shared": ours(shared),
        }
        return {name: round(tokens / value, 1) for name, value in seconds.items()}

    compare(0)  # warm-up
    rounds = [compare(number * STEPS) for number in range(ROUNDS)]
    write_json(out, _summary(rounds, machine))


def _trainer(
    model: Path, tokenizer: PreTrainedTokenizerBase, rows: Rows, cfg: TrainingConfig, machine: TrainMachine
) -> float:
    """Seconds of `Trainer.train` with its defaults, at our rate and format; a step is one batch."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch,
            per_device_train_batch_size=EXAMPLES_A_STEP,
            gradient_accumulation_steps=1,
            num_train_epochs=1,
            learning_rate=cfg.fit.learning_rate,
            max_grad_norm=cfg.fit.max_grad_norm,
            bf16=compute_dtype(machine.precision) is torch.bfloat16,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = Trainer(
            checkpoint.load_model(model),
            arguments,
            data_collator=DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=8),
            train_dataset=rows,
        )
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def _summary(rounds: list[dict[str, float]], machine: TrainMachine) -> dict[str, Any]:
    return {
        "machine": machine_summary(),
        "precision": str(compute_dtype(machine.precision)),
        "examples_a_step": EXAMPLES_A_STEP,
        "steps_a_round": STEPS,
        "tokens_per_s": rounds,
        "median_ratio_to_trainer": {
            name: round(statistics.median(one[name] / one["trainer"] for one in rounds), 3)
            for name in ("alone", "shared")
        },
    }


if __name__ == "__main__":
    run(main)
