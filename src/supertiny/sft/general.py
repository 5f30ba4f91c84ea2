"""General instructions with their answers, one a line: {"instruction": "...", "answer": "..."} (paper App. I)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from transformers import PreTrainedTokenizerBase

from supertiny.core.ask import Chat
from supertiny.core.config import load_profile, seed
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.model import checkpoint
from supertiny.model.answer import chat_ids
from supertiny.model.batches import Branch, Pack, micro_batches, steps
from supertiny.model.config import TrainingConfig, TrainMachine
from supertiny.model.generate import common_prefix
from supertiny.sft.groups import GeneralSizes
from supertiny.sft.packs import TrainingSet, read_training_set

GENERAL = "instructions.jsonl"
"""name of a file of general texts: a plan tells by it what will be trained on before the file is there"""
DEV_EVERY = 10
"""the last of every so many rows is dev"""
ROWS_A_GROUP = 8
"""rows behind one copy of what their conversations begin with: a chat template may say a lot before the first word"""
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""half a character, which JSON can say and no tokenizer reads"""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What is asked, and a good answer."""

    instruction: str
    answer: str


@dataclass(frozen=True, slots=True)
class GeneralSet:
    """Instructions to learn from and others to measure on."""

    train: Sequence[Instruction]
    dev: Sequence[Instruction]
    seed: int

    def branches(self, tokenizer: PreTrainedTokenizerBase) -> list[Branch]:
        """The training rows in their order."""
        return [_branch(row, tokenizer) for row in self.train]

    def steps(
        self, tokenizer: PreTrainedTokenizerBase, cfg: TrainingConfig, machine: TrainMachine
    ) -> list[list[list[Pack]]]:
        """The whole run: for each optimizer step its micro-batches."""
        groups, shuffle = _groups(self.branches(tokenizer)), Random(cfg.shuffle_seed)
        return steps(groups, cfg.groups_a_step, machine.max_tokens, cfg.epochs, shuffle, machine.processes)

    def only(self, kept: Sequence[bool]) -> "GeneralSet":
        """The same with those training rows alone."""
        return replace(self, train=[row for row, stays in zip(self.train, kept, strict=True) if stays])

    def dev_batches(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[list[Pack]]:
        """The dev rows as micro-batches."""
        return micro_batches(_groups([_branch(row, tokenizer) for row in self.dev]), max_tokens)


def read_general(path: Path) -> GeneralSet:
    """The rows of `path`, as many as the profile says; a row that is none is an error that names line and field."""
    rows: dict[Instruction, int] = {}
    for number, value in read_jsonl(path):
        row = _instruction(value, f"{path}, line {number}")
        if row in rows:
            raise UserError(f"{path}, line {number}: the row of line {rows[row]} again; leave one of them out")
        rows[row] = number
    if len(rows) < DEV_EVERY:
        raise UserError(f"{path}: {len(rows)} rows; give {DEV_EVERY} at least, for one in {DEV_EVERY} is dev")
    sizes, found = load_profile("sizes.general", GeneralSizes), list(rows)
    train = [row for at, row in enumerate(found, 1) if at % DEV_EVERY]
    dev = found[DEV_EVERY - 1 :: DEV_EVERY]
    return GeneralSet(train[: sizes.examples or None], dev[: sizes.dev_examples], seed())


def read_rows(rows: Path, data: Path) -> TrainingSet | GeneralSet:
    """What a model is fine-tuned on: general texts where the file is named so, else queries of the domain in `data`."""
    return read_general(rows) if rows.name == GENERAL else read_training_set(data, rows)


def pieces(data: GeneralSet, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """The tokens of all that the rows say: a vocabulary trimmed with them spells them as before."""
    branches = [_branch(row, tokenizer) for row in (*data.train, *data.dev)]
    return [ids for one in branches for ids in (one.prompt, one.response)]


def _groups(branches: Sequence[Branch]) -> list[Pack]:
    """Some rows a pack, in their order; what their prompts begin with is its prefix, but for a last token of each."""
    found = []
    for start in range(0, len(branches), ROWS_A_GROUP):
        rows = branches[start : start + ROWS_A_GROUP]
        prefix = common_prefix([row.prompt[:-1] for row in rows])
        found.append(Pack(prefix, tuple(Branch(row.prompt[len(prefix) :], row.response) for row in rows)))
    return found


def _branch(row: Instruction, tokenizer: PreTrainedTokenizerBase) -> Branch:
    """The conversation up to the answer, and the answer as it follows there."""
    asked = chat_ids(tokenizer, Chat((("user", row.instruction),)))
    answer = row.answer if tokenizer.chat_template else f" {row.answer}"
    return Branch(asked, [*checkpoint.encoder(tokenizer)(answer), tokenizer.eos_token_id])


def _instruction(value: Any, where: str) -> Instruction:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected an object with the fields 'instruction' and 'answer'")
    if unknown := sorted(set(value) - set(Instruction.__slots__)):
        raise UserError(f"{where}: field {unknown[0]!r} is not known; put all that is asked into 'instruction'")
    for name in Instruction.__slots__:
        text = value.get(name)
        if not isinstance(text, str) or not text.strip() or LONE_SURROGATE.search(text):
            raise UserError(f"{where}: field {name!r}: expected a text, got {text!r}")
    return Instruction(**value)
