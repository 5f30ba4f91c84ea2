"""The examples that teacher and students learn from, as prompts: the same ones for all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from supertiny.core.calls import Pool
from supertiny.core.config import load, load_profile, require, require_positive, seed
from supertiny.core.prompt import PromptConfig, render, response
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.model import checkpoint
from supertiny.model.batches import Branch, Pack, micro_batches, steps
from supertiny.model.train import FitConfig, FrozenConfig, TrainMachine
from supertiny.sft.groups import Group, drop_function, group, rename_functions


@dataclass(kw_only=True, slots=True)
class PackConfig:
    """Section `pack` of params.yaml: how training examples become prompts, the same for teacher and students."""

    group_size: int
    """examples that share one list of candidates, and its forward pass"""
    function_dropout: float
    """share of groups that lose a function one of them needs; its queries then have no appropriate function"""
    renaming: float
    """share of groups whose functions go by other names, the words of each in another order"""

    def __post_init__(self) -> None:
        require_positive(self, "group_size")
        for name in ("function_dropout", "renaming"):
            require(0 <= getattr(self, name) <= 1, f"{name}: expected 0..1, got {getattr(self, name)}")

    def as_they_are(self) -> "PackConfig":
        """The same without a change of candidates: how dev is read."""
        return replace(self, function_dropout=0.0, renaming=0.0)


@dataclass(kw_only=True, slots=True)
class SftConfig:
    """Sections `sft` (the teacher), `teaching` (students), `general` and `recovery` (pruned ones) of params.yaml."""

    shuffle_seed: int
    """order of the training prompts; which prompts there are hangs on the pipeline's seed alone"""
    epochs: float
    """passes over the training examples; .5: over half of them"""
    groups_a_step: int
    """groups in one optimizer step"""
    frozen: FrozenConfig
    """what does not learn"""
    dev_points: int
    """how often the loss on dev examples is logged"""
    fit: FitConfig

    def __post_init__(self) -> None:
        require(self.shuffle_seed >= 0, f"shuffle_seed: expected 0 or more, got {self.shuffle_seed}")
        require_positive(self, "epochs", "groups_a_step")
        require(self.dev_points >= 0, f"dev_points: expected 0 or more, got {self.dev_points}")


@dataclass(kw_only=True, slots=True)
class SftSizes:
    """Section `sft` of the profile."""

    examples: int
    """training examples; 0: all there are"""
    dev_examples: int
    """examples of the dev split whose loss is logged"""

    def __post_init__(self) -> None:
        require(self.examples >= 0, f"examples: expected 0 or more, got {self.examples}")
        require_positive(self, "dev_examples")


Encode = Callable[[str], list[int]]
Write = Callable[[Example, Pool], str]
"""what a model is to reply to a labelled example"""


def training_packs(
    examples: Sequence[Example],
    pool: Pool,
    encode: Encode,
    end_id: int,
    cfg: PackConfig,
    prompt: PromptConfig,
    rng: Random,
    write: Write,
) -> list[Pack]:
    """The training examples as a model reads them: in groups, some under changed candidates; and what it `write`s."""
    packs = []
    for one in tqdm(group(examples, cfg.group_size, rng), desc="tokenize", unit="group"):
        functions = pool
        if rng.random() < cfg.function_dropout:
            one = drop_function(one, rng)
        if rng.random() < cfg.renaming:
            one, functions = rename_functions(one, pool, rng)
        packs.append(pack(one, functions, encode, end_id, prompt, write))
    return packs


def with_answer(example: Example, pool: Pool) -> str:
    """The first answer, and nothing else (App. C)."""
    return response(example.answers[0], pool)


def pack(group: Group, pool: Pool, encode: Encode, end_id: int, cfg: PromptConfig, write: Write = with_answer) -> Pack:
    """One group as token ids: the candidates as prefix, each query with its reply as a branch."""
    prompts = [render(example, pool, cfg) for example in group.examples]
    return Pack(
        encode(prompts[0].shared),
        tuple(
            Branch(encode(prompt.own), [*encode(" " + write(example, pool)), end_id])
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
