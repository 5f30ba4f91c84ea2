"""Answers in batches: what the prompts of a batch share is computed once, whatever its length."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import (
    Cache,
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from supertiny.model.ask import Generation

MIN_SHARED = 16
"""tokens below which a shared prefix is not worth its own forward pass"""

Processor = Callable[[list[int]], LogitsProcessor | None]
"""indices of the prompts of one batch -> what constrains their logits, if anything"""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    max_new_tokens: int
    temperature: float = 0.0
    """0: the likeliest token"""
    seeds: Sequence[int] = ()
    """above 0: one for each prompt, whose sample depends on no other's"""


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    sampling: Sampling,
    batch_size: int,
    constrain: Processor = lambda rows: None,
    progress: str | None = None,
) -> list[Generation]:
    """The continuation of each tokenized prompt, in the order given."""
    order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index))
    shared = _Prefix(model)
    answers: dict[int, Generation] = {}
    with torch.inference_mode(), tqdm(total=len(prompts), desc=progress, disable=progress is None, unit="query") as bar:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            processors = [one for one in (constrain(rows), _sampler(sampling, rows)) if one]
            found = _batch(model, tokenizer, [prompts[row] for row in rows], sampling, shared, processors)
            answers.update(zip(rows, found, strict=True))
            bar.update(len(rows))
    return [answers[index] for index in range(len(prompts))]


class Sampler(LogitsProcessor):  # type: ignore[misc]  # transformers has no types
    """Adds Gumbel noise, so that the likeliest token is a sample of the softmax; every row draws from its own seed."""

    def __init__(self, temperature: float, seeds: Sequence[int]) -> None:
        self._temperature = temperature
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """[rows, vocabulary] scores by temperature, with noise."""
        drawn = torch.stack([torch.rand(scores.shape[-1], generator=one) for one in self._generators])
        return scores.float() / self._temperature - drawn.to(scores.device).log().neg().log()


def _sampler(sampling: Sampling, rows: Sequence[int]) -> Sampler | None:
    return Sampler(sampling.temperature, [sampling.seeds[row] for row in rows]) if sampling.temperature else None


class _Prefix:
    """The keys and values of the last shared prefix, copied for each batch that starts with it."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._ids: list[int] = []
        self._cache: Cache | None = None

    def cache(self, ids: list[int], rows: int) -> tuple[Cache, bool]:
        """The copy for so many rows, and whether it had to be computed."""
        new = ids != self._ids or self._cache is None
        if new:
            self._ids, self._cache = ids, DynamicCache(config=self._model.config)
            device = self._model.device
            self._model.base_model(torch.tensor([ids], device=device), past_key_values=self._cache, use_cache=True)
        copied = deepcopy(self._cache)
        assert copied is not None
        copied.batch_repeat_interleave(rows)
        return copied, new


def _batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[int]],
    sampling: Sampling,
    shared: _Prefix,
    processors: Sequence[LogitsProcessor],
) -> list[Generation]:
    prefix = common_prefix([prompt[:-1] for prompt in prompts])  # one token at least is left: its logits are needed
    prefix = prefix if len(prefix) >= MIN_SHARED and len(prompts) > 1 else []
    cache, computed = shared.cache(prefix, len(prompts)) if prefix else (None, False)
    ids, mask = _left_padded(prompts, len(prefix), tokenizer.pad_token_id)
    written = model.generate(
        ids.to(model.device),
        attention_mask=mask.to(model.device),
        past_key_values=cache,
        logits_processor=LogitsProcessorList(processors),
        max_new_tokens=sampling.max_new_tokens,
        do_sample=False,  # `Sampler` is the sampling
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )[:, ids.shape[1] :].tolist()
    cached = [0 if computed and not at else len(prefix) for at in range(len(prompts))]  # the first pays for all
    return [
        _generation(tokenizer, row, len(prompt), len(prompt) - known)
        for row, prompt, known in zip(written, prompts, cached, strict=True)
    ]


def common_prefix(rows: list[list[int]]) -> list[int]:
    """What all rows start with: that of the smallest and the largest in dictionary order."""
    first, last = min(rows), max(rows)
    differs = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(map(len, rows)))
    return first[:differs]


def _left_padded(prompts: list[list[int]], shared: int, pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask [rows, longest], padding between the shared prefix and the rest."""
    longest = max(map(len, prompts))
    ids = torch.tensor([p[:shared] + [pad_id] * (longest - len(p)) + p[shared:] for p in prompts])
    mask = torch.tensor([[1] * shared + [0] * (longest - len(p)) + [1] * (len(p) - shared) for p in prompts])
    return ids, mask


def _generation(tokenizer: PreTrainedTokenizerBase, row: list[int], prompt: int, uncached: int) -> Generation:
    end = tokenizer.eos_token_id
    length = row.index(end) + 1 if end in row else len(row)
    text = tokenizer.decode(row[:length], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Generation(text, prompt, uncached, length)
