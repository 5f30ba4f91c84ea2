"""Training examples as a model reads them: groups that share candidates, as token ids."""

from collections.abc import Callable, Sequence
from random import Random

from tqdm import tqdm

from supertiny.core.calls import Pool
from supertiny.core.records import Example
from supertiny.model.batches import Branch, Pack
from supertiny.prompt.compressed import PromptConfig, render, response
from supertiny.sft.augment import drop_function, rename_functions
from supertiny.sft.config import PackConfig
from supertiny.sft.group import Group, group

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
