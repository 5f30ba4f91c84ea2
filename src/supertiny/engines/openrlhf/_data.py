"""Our prompts, labels and reward as OpenRLHF reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice, repeat
from pathlib import Path
from random import Random
from typing import Any

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

import supertiny
from supertiny.core.files import write_jsonl, write_text
from supertiny.core.records import Example
from supertiny.engines.openrlhf._arguments import Files
from supertiny.model import checkpoint
from supertiny.rl.config import RlConfig
from supertiny.rl.reward_file import label
from supertiny.rl.tasks import Task, tasks
from supertiny.sft.training_set import TrainingSet

REWARD = '''"""The reward of supertiny, for OpenRLHF's processes, wherever they run."""

import sys

sys.path.insert(0, {source!r})
from supertiny.rl.reward_file import reward_func  # noqa: E402, F401
'''


def write_data(base: Path, data: TrainingSet, cfg: RlConfig, files: Files) -> int:
    """Write prompts, dev prompts and reward file; returns the tokens of the longest prompt and its reply.

    There are as many rows as prompts in all rollout batches, so that one episode of OpenRLHF is the whole run.
    """
    tokenizer = checkpoint.load_tokenizer(base)
    changed = replace(data.packing, function_dropout=cfg.function_dropout, renaming=cfg.renaming)
    asked = tasks(data.examples, data.pool, _letters, changed, data.prompt, Random(data.seed))
    dev = tasks(data.dev, data.pool, _letters, data.packing.as_they_are(), data.prompt, Random(data.seed))
    rows, dev_rows = [_row(task, tokenizer) for task in asked], [_row(task, tokenizer) for task in dev]
    write_jsonl(files.prompts, islice(_endless(rows, Random(cfg.shuffle_seed)), cfg.batches * cfg.prompts_a_batch))
    write_jsonl(files.dev, dev_rows)
    write_text(files.reward, REWARD.format(source=str(Path(supertiny.__file__).parents[1])))
    _warn_of_other_tokens(data, tokenizer)
    encode = checkpoint.encoder(tokenizer)
    return max(len(encode(row["prompt"])) for row in [*rows, *dev_rows]) + cfg.max_new_tokens


def _letters(text: str) -> list[int]:
    """A prompt as bytes in place of token ids: OpenRLHF tokenizes texts."""
    return list(text.encode())


def _row(task: Task, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    example = Example(id="", query="", candidates=tuple(task.offered), answers=task.answers)
    return {"prompt": bytes(task.prompt).decode(), "label": label(example, task.offered, tokenizer.eos_token)}


def _endless(rows: Sequence[dict[str, Any]], rng: Random) -> Iterator[dict[str, Any]]:
    """All rows in a new order, again and again."""
    return chain.from_iterable(rng.sample(rows, len(rows)) for _ in repeat(None))


def _warn_of_other_tokens(data: TrainingSet, tokenizer: PreTrainedTokenizerBase) -> None:
    """The two parts of a prompt are tokenized apart here, and as one text there; that should make no difference."""
    encode = checkpoint.encoder(tokenizer)
    told = tasks(data.dev, data.pool, encode, data.packing.as_they_are(), data.prompt, Random(data.seed))
    texts = tasks(data.dev, data.pool, _letters, data.packing.as_they_are(), data.prompt, Random(data.seed))
    differing = sum(one.prompt != encode(bytes(other.prompt).decode()) for one, other in zip(told, texts, strict=True))
    if differing:
        tqdm.write(f"warning: {differing} of {len(told)} dev prompts have other tokens in OpenRLHF than here")
