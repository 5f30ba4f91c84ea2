"""The examples that teacher and students learn from, as prompts: the same ones for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from transformers import PreTrainedTokenizerBase

from supertiny.core.calls import Pool
from supertiny.core.config import load, load_profile, seed
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.model import checkpoint
from supertiny.model.batches import Pack, micro_batches, steps
from supertiny.model.training import TrainMachine
from supertiny.prompt.compressed import PromptConfig
from supertiny.sft.config import PackConfig, SftConfig, SftSizes
from supertiny.sft.pack import training_packs, with_answer


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
        self, tokenizer: PreTrainedTokenizerBase, cfg: SftConfig, machine: TrainMachine
    ) -> list[list[list[Pack]]]:
        """The whole run over `packs`: for each optimizer step its micro-batches."""
        packs, shuffle = self.packs(tokenizer), Random(cfg.shuffle_seed)
        return steps(packs, cfg.groups_a_step, machine.max_tokens, cfg.epochs, shuffle, machine.processes)

    def dev_batches(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[list[Pack]]:
        """`dev_packs` as micro-batches."""
        return micro_batches(self.dev_packs(tokenizer), max_tokens)

    def _packs(self, rows: Sequence[Example], how: PackConfig, tokenizer: PreTrainedTokenizerBase) -> list[Pack]:
        encode, rng = checkpoint.encoder(tokenizer), Random(self.seed)
        write = with_answer if self.replies is None else self._reply
        return training_packs(rows, self.pool, encode, tokenizer.eos_token_id, how, self.prompt, rng, write)

    def _reply(self, example: Example, pool: Pool) -> str:
        return (self.replies or {})[example.id]


def read_training_set(functions: Path, examples: Path, dev: Path) -> TrainingSet:
    """The first rows of `examples` and `dev`, as many as the profile says, with the parameters of their prompts."""
    pool, sizes = read_functions(functions), load_profile("sft", SftSizes)
    return TrainingSet(
        read_examples(examples, pool)[: sizes.examples or None],
        read_examples(dev, pool)[: sizes.dev_examples],
        pool,
        load("pack", PackConfig),
        load("prompt", PromptConfig),
        seed(),
    )


def with_replies(data: TrainingSet, replies: Mapping[str, str]) -> TrainingSet:
    """Those examples of `data` that have one of `replies`, which is then what is learned."""
    kept = [[row for row in rows if row.id in replies] for rows in (data.examples, data.dev)]
    return replace(data, examples=kept[0], dev=kept[1], replies=replies)
