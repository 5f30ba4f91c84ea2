"""The examples that teacher and students learn from, as prompts: the same ones for all of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice, repeat
from pathlib import Path
from random import Random

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from supertiny.core.calls import Pool
from supertiny.core.config import load, load_profile, seed
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.core.prompt import PromptConfig, render, response, too_long
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.model import checkpoint
from supertiny.model.batches import Branch, Pack, micro_batches, shared, steps
from supertiny.model.config import TrainingConfig, TrainMachine
from supertiny.sft.groups import Group, PackConfig, SftSizes, drawn

Encode = Callable[[str], list[int]]
Write = Callable[[Example, Pool, PromptConfig], str]
"""what a model is to reply to a labelled example"""


def with_answer(example: Example, pool: Pool, cfg: PromptConfig) -> str:
    """The first answer, and nothing else (App. C)."""
    return response(example.answers[0], pool, cfg.answer)


def pack(group: Group, pool: Pool, encode: Encode, end_id: int, cfg: PromptConfig, write: Write = with_answer) -> Pack:
    """One group as token ids: the candidates as prefix, each query with its reply as a branch."""
    prompts = [render(example, pool, cfg) for example in group.examples]
    prefix = encode(prompts[0].shared)
    if wrong := too_long(prompts[0].shared, len(prefix), cfg):
        raise UserError(f"params.yaml: {wrong}; set dataset.lists: oracle, of a few functions a query, or raise it")
    return Pack(
        prefix,
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
    general: Sequence[Example] = ()
    """queries of other domains; those without candidates are offered functions of `general_pool`"""
    general_pool: Pool = field(default_factory=dict)

    def packs(self, tokenizer: PreTrainedTokenizerBase) -> list[Pack]:
        """The training examples in groups, some under changed candidates; equal for equal tokenizers.

        Groups of other domains stand evenly between those of the own one.
        """
        how = self.packing.as_they_are() if self.replies else self.packing
        own = self._packs(drawn(self.examples, self.pool, how, Random(self.seed)), tokenizer)
        wanted = round(how.general * len(own)) if self.general else 0
        others = self._packs(islice(self._general(how), wanted), tokenizer)
        # of equal places the own one comes first
        places = [(at / len(many), many is others, at, one) for many in (own, others) for at, one in enumerate(many)]
        return [one for *_, one in sorted(places, key=lambda place: place[:3])]

    def dev_packs(self, tokenizer: PreTrainedTokenizerBase) -> list[Pack]:
        """The dev examples in groups, under candidates as they are."""
        return self._packs(drawn(self.dev, self.pool, self.packing.as_they_are(), Random(self.seed)), tokenizer)

    def steps(
        self, tokenizer: PreTrainedTokenizerBase, cfg: TrainingConfig, machine: TrainMachine
    ) -> list[list[list[Pack]]]:
        """The whole run over `packs`: for each optimizer step its micro-batches."""
        packs, shuffle = self.packs(tokenizer), Random(cfg.shuffle_seed)
        return steps(packs, cfg.groups_a_step, machine.max_tokens, cfg.epochs, shuffle, machine.processes)

    def dev_batches(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[list[Pack]]:
        """`dev_packs` as micro-batches, a list that several share in as few packs as can be."""
        return micro_batches(shared(self.dev_packs(tokenizer), max_tokens), max_tokens)

    def _general(self, how: PackConfig) -> Iterator[tuple[Group, Pool]]:
        """Groups of other domains without an end: all rows, then all again behind other lists. Each list is drawn."""
        rows = [replace(row, candidates=row.candidates or tuple(self.general_pool)) for row in self.general]
        how, rng = replace(how, whole=0.0), Random(f"{self.seed} general")
        return chain.from_iterable(drawn(rows, self.general_pool, how, rng) for _ in repeat(None))

    def _packs(self, groups: Iterable[tuple[Group, Pool]], tokenizer: PreTrainedTokenizerBase) -> list[Pack]:
        encode, end_id = checkpoint.encoder(tokenizer), tokenizer.eos_token_id
        write = with_answer if self.replies is None else self._reply
        return [
            pack(one, pool, encode, end_id, self.prompt, write)
            for one, pool in tqdm(groups, desc="tokenize", unit="group")
        ]

    def _reply(self, example: Example, pool: Pool, cfg: PromptConfig) -> str:
        return (self.replies or {})[example.id]


def read_training_set(data: Path, rows: Path) -> TrainingSet:
    """The first of `rows` and of dev in folder `data`, as many as the profile says, and how they become prompts.

    With the queries of other domains that the folder holds, if it does.
    """
    pool, sizes = read_functions(data / "functions.json"), load_profile("sizes.sft", SftSizes)
    general, general_pool = _read_general(data / "general.jsonl", data / "general_functions.json")
    return TrainingSet(
        _taught(rows, pool)[: sizes.examples or None],
        _taught(data / "dev.jsonl", pool)[: sizes.dev_examples],
        pool,
        load("pack", PackConfig),
        load("prompt", PromptConfig),
        seed(),
        general=general,
        general_pool=general_pool,
    )


def _taught(rows: Path, pool: Pool) -> list[Example]:
    """The examples of a file, each of which offers what its answer calls; one that does not is an error that names it.

    Nothing could be drawn from no list, and a call of what is not offered must not be learned.
    """
    found = read_examples(rows, pool)
    for example in found:
        where = f"{rows}: row {example.id!r}"
        if not example.answers:
            raise UserError(f"{where} has no answer to learn; label it, or leave it out")
        if not example.candidates:
            raise UserError(f"{where}: field 'candidates': offers no function; name those that the model is to see")
    return found


def _read_general(rows: Path, functions: Path) -> tuple[list[Example], Pool]:
    """The queries of other domains and their functions; none where the files are not there, or hold none."""
    if not (rows.exists() and functions.exists() and read_json(functions)):
        return [], {}
    pool = read_functions(functions)
    found = read_examples(rows, pool)
    for example in found:
        if not example.answers:
            raise UserError(f"{rows}: row {example.id!r} has no answer to learn; label it, or leave it out")
    return found, pool


def with_replies(data: TrainingSet, replies: Mapping[str, str]) -> TrainingSet:
    """Those examples of `data` that have one of `replies`, which is then what is learned."""
    kept = [[row for row in rows if row.id in replies] for rows in (data.examples, data.dev)]
    return replace(data, examples=kept[0], dev=kept[1], replies=replies, general=())
