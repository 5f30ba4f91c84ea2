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


def training_packs(
    examples: Sequence[Example],
    pool: Pool,
    encode: Encode,
    end_id: int,
    cfg: PackConfig,
    prompt: PromptConfig,
    rng: Random,
) -> list[Pack]:
    """The training examples as a model reads them: in groups, some under changed candidates."""
    packs = []
    for one in tqdm(group(examples, cfg.group_size, rng), desc="tokenize", unit="group"):
        functions = pool
        if rng.random() < cfg.function_dropout:
            one = drop_function(one, rng)
        if rng.random() < cfg.renaming:
            one, functions = rename_functions(one, pool, rng)
        packs.append(pack(one, functions, encode, end_id, prompt))
    return packs


def pack(group: Group, pool: Pool, encode: Encode, end_id: int, cfg: PromptConfig) -> Pack:
    """One group as token ids: the candidates as prefix, each query with its answer as a branch."""
    prompts = [render(example, pool, cfg) for example in group.examples]
    return Pack(
        encode(prompts[0].shared),
        tuple(
            Branch(encode(prompt.own), [*encode(" " + response(example.answers[0], pool)), end_id])
            for prompt, example in zip(prompts, group.examples, strict=True)
        ),
    )
