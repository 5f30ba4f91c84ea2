"""The examples that teacher and students learn from, as prompts: the same ones for all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from supertiny.core.calls import Pool
from supertiny.core.config import load, load_profile, seed
from supertiny.core.prompt import PromptConfig, render, response
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.model import checkpoint
from supertiny.model.batches import Branch, Pack, micro_batches, steps
from supertiny.model.config import TrainingConfig, TrainMachine
from supertiny.sft.config import PackConfig, SftSizes
from supertiny.sft.groups import Group, drop_function, group, rename_functions

Encode = Callable[[str], list[int]]
Write = Callable[[Example, Pool, PromptConfig], str]
"""what a model is to reply to a labelled example"""


def with_answer(example: Example, pool: Pool, cfg: PromptConfig) -> str:
    """The first answer, and nothing else (App. C)."""
    return response(example.answers[0], pool, cfg.answer)


def pack(group: Group, pool: Pool, encode: Encode, end_id: int, cfg: PromptConfig, write: Write = with_answer) -> Pack:
    """One group as token ids: the candidates as prefix, each query with its reply as a branch."""
    prompts = [render(example, pool, cfg) for example in group.examples]
    return Pack(
        encode(prompts[0].shared),
        tuple(
            Branch(encode(prompt.own), [*encode(" " + write(example, pool, cfg)), end_id])
            for prompt, example in zip(prompts, group.examples, strict=True)
        ),
    )


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Examples, and how they become prompts."""

    examples: Sequence[Example]
    dev: Sequence[Example]
    pool: Pool
    packing: PackConfig
    prompt: PromptConfig
    seed: int
    replies: Mapping[str, str] | None = None
    """what is to be written for an example of this id, under its candidates as they are; None: its first answer"""

    def packs(self, tokenizer: PreTrainedTokenizerBase) -> list[Pack]:
        """The training examples in groups, some under changed candidates; equal for equal tokenizers."""
        return self._packs(self.examples, self.packing.as_they_are() if self.replies else self.packing, tokenizer)

    def dev_packs(self, tokenizer: PreTrainedTokenizerBase) -> list[Pack]:
        """The dev examples in groups, under candidates as they are."""
        return self._packs(self.dev, self.packing.as_they_are(), tokenizer)

    def steps(
        self, tokenizer: PreTrainedTokenizerBase, cfg: TrainingConfig, machine: TrainMachine
    ) -> list[list[list[Pack]]]:
        """The whole run over `packs`: for each optimizer step its micro-batches."""
        packs, shuffle = self.packs(tokenizer), Random(cfg.shuffle_seed)
        return steps(packs, cfg.groups_a_step, machine.max_tokens, cfg.epochs, shuffle, machine.processes)

    def dev_batches(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[list[Pack]]:
        """`dev_packs` as micro-batches."""
        return micro_batches(self.dev_packs(tokenizer), max_tokens)

    def _packs(self, rows: Sequence[Example], how: PackConfig, tokenizer: PreTrainedTokenizerBase) -> list[Pack]:
        """In groups, some under changed candidates."""
        encode, end_id, rng = checkpoint.encoder(tokenizer), tokenizer.eos_token_id, Random(self.seed)
        write = with_answer if self.replies is None else self._reply
        packs = []
        for one in tqdm(group(rows, how.group_size, rng), desc="tokenize", unit="group"):
            functions = self.pool
            if rng.random() < how.function_dropout:
                one = drop_function(one, rng)
            if rng.random() < how.renaming:
                one, functions = rename_functions(one, self.pool, rng)
            packs.append(pack(one, functions, encode, end_id, self.prompt, write))
        return packs

    def _reply(self, example: Example, pool: Pool, cfg: PromptConfig) -> str:
        return (self.replies or {})[example.id]


def read_training_set(data: Path, rows: Path) -> TrainingSet:
    """The first of `rows` and of dev in folder `data`, as many as the profile says, and how they become prompts."""
    pool, sizes = read_functions(data / "functions.json"), load_profile("sizes.sft", SftSizes)
    return TrainingSet(
        read_examples(rows, pool)[: sizes.examples or None],
        read_examples(data / "dev.jsonl", pool)[: sizes.dev_examples],
        pool,
        load("pack", PackConfig),
        load("prompt", PromptConfig),
        seed(),
    )


def with_replies(data: TrainingSet, replies: Mapping[str, str]) -> TrainingSet:
    """Those examples of `data` that have one of `replies`, which is then what is learned."""
    kept = [[row for row in rows if row.id in replies] for rows in (data.examples, data.dev)]
    return replace(data, examples=kept[0], dev=kept[1], replies=replies)
