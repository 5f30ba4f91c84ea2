"""How far a student is from its teacher, slot by slot, on responses whose teacher logits are cached (Eq. 3-5).

Shapes: N response tokens.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from supertiny.core.calls import NAME, Syntax
from supertiny.core.errors import UserError
from supertiny.distill.config import DistillConfig
from supertiny.distill.divergence import Divergence
from supertiny.distill.loss import TokenStats, token_stats
from supertiny.distill.store import CacheReader
from supertiny.distill.teacher import StoredTeacher
from supertiny.model import checkpoint
from supertiny.model.batches import Pack, collate, micro_batches
from supertiny.model.hardware import device
from supertiny.model.train import ResponseLogits
from supertiny.model.vocab import vocabulary
from supertiny.sft.packs import TrainingSet

HEADS = {
    Syntax.json: re.compile(r'\s*\{"name":"((?:[^"\\]|\\.)*)","arguments":\{'),
    Syntax.python: re.compile(rf"\s*({NAME})\("),
}
"""what stands before the first argument, the function's name in it"""
KEYS = {Syntax.json: re.compile(r',?"((?:[^"\\]|\\.)*)":'), Syntax.python: re.compile(rf"(?:, )?({NAME})=")}
"""what stands before a value, the parameter's name in it"""


class Slot(StrEnum):
    """A part of an answer."""

    FUNCTION = "function name"
    PARAMETER = "parameter names"
    VALUE = "values"
    SYNTAX = "syntax"
    REFUSAL = "refusal"
    END = "end"


def token_slots(text: str, offsets: Sequence[tuple[int, int]], syntax: Syntax) -> list[Slot]:
    """The slot of each token of the answer `text`, from its character span; an empty span is the end token.

    A token that spans several slots counts to the one with most of its characters, of equal ones to the later.

    >>> text = '{"name":"go","arguments":{"to":"den"}}'
    >>> spans = [(0, 9), (9, 11), (11, 27), (27, 29), (29, 31), (31, 36), (36, 38), (38, 38)]
    >>> [str(slot) for slot in token_slots(text, spans, Syntax.json)]
    ['syntax', 'function name', 'syntax', 'parameter names', 'syntax', 'values', 'syntax', 'end']
    >>> [str(slot) for slot in token_slots('go(to="den")', [(0, 2), (2, 3), (3, 5), (5, 6), (6, 11)], Syntax.python)]
    ['function name', 'syntax', 'parameter names', 'syntax', 'values']
    """
    chars = _char_slots(text, syntax)

    def slot(start: int, end: int) -> Slot:
        covered = chars[start:end]
        return max(reversed(covered), key=covered.count) if covered else Slot.END

    return [slot(start, end) for start, end in offsets]


def _char_slots(text: str, syntax: Syntax) -> list[Slot]:
    head = HEADS[syntax].match(text)
    if head is None:
        return [Slot.REFUSAL] * len(text)
    slots = [Slot.SYNTAX] * len(text)
    slots[head.start(1) : head.end(1)] = [Slot.FUNCTION] * len(head[1])
    at = head.end()
    while key := KEYS[syntax].match(text, at):
        slots[key.start(1) : key.end(1)] = [Slot.PARAMETER] * len(key[1])
        at = _value_end(text, key.end())
        slots[key.end() : at] = [Slot.VALUE] * (at - key.end())
    return slots


def _value_end(text: str, start: int) -> int:
    """Where the value that starts at `start` ends: at the first comma or end of all, outside strings and brackets."""
    depth, quoted, at = 0, False, start
    while at < len(text) and (quoted or depth or text[at] not in ",})"):
        if text[at] == "\\":
            at += 1
        elif text[at] == '"':
            quoted = not quoted
        elif not quoted:
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(text[at], 0)
        at += 1
    return at


BINS = 20
"""of alpha, and of the teacher's likeliest token's probability"""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Every response token looked at; each [N]."""

    slots: np.ndarray
    alpha: np.ndarray
    p_top1: np.ndarray
    missing_mass: np.ndarray
    divergence_nats: dict[str, np.ndarray]
    """of the forward KL, the reverse KL, and the adaptive one"""


def distances(
    models: Mapping[str, Path], cache: CacheReader, data: TrainingSet, cfg: DistillConfig, max_tokens: int
) -> dict[str, Any]:
    """What `summarised` says of each of `models` on the dev examples in the cache."""
    found = {}
    for name, folder in models.items():
        tokenizer = checkpoint.load_tokenizer(folder)
        teacher = StoredTeacher(cache, cache.align(vocabulary(folder)))
        packs = [pack for one in data.dev_packs(tokenizer) if (pack := known(one, teacher)).branches]
        if not packs:
            raise UserError(f"{cache.folder} holds no dev example; rerun the stage that stores the teacher's logits")
        model, batches = checkpoint.load_model(folder).to(device()), micro_batches(packs, max_tokens)
        found[name] = summarised(look(model, tokenizer, teacher, batches, cfg, data.prompt.answer), cfg.mu)
    return found


def known(pack: Pack, teacher: StoredTeacher) -> Pack:
    """`pack` with those branches alone that the teacher was asked."""
    return replace(pack, branches=tuple(branch for branch in pack.branches if teacher.knows(pack, branch)))


@torch.no_grad()
def look(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    teacher: StoredTeacher,
    batches: Iterable[Sequence[Pack]],
    cfg: DistillConfig,
    syntax: Syntax,
) -> Tokens:
    """Compare `model` with its teacher at every response token of `batches`."""
    score, slots, stats = ResponseLogits(model.eval()), list[Slot](), list[dict[str, TokenStats]]()
    kinds = {kind: Divergence(loss=kind, mu=cfg.mu, alpha=cfg.alpha) for kind in ("akl", "fkl", "rkl")}
    for packs in tqdm(batches, desc="distance to the teacher", unit="batch"):
        logits_NV = score(collate(packs, tokenizer.pad_token_id).to(model.device))[:, : len(teacher.to_teacher)]
        signal = teacher.signal(packs).to(model.device)
        stats.append({name: token_stats(logits_NV, signal, kind, cfg.chunk_rows) for name, kind in kinds.items()})
        responses = [branch.response for pack in packs for branch in pack.branches]
        slots += [slot for response in responses for slot in _slots(response, tokenizer, syntax)]

    def joined(kind: str, name: str) -> np.ndarray:
        return torch.cat([getattr(one[kind], name) for one in stats]).cpu().numpy()

    return Tokens(
        np.array([slot.value for slot in slots]),
        joined("akl", "alpha"),
        joined("akl", "p_top1"),
        joined("akl", "missing_mass"),
        {kind: joined(kind, "divergence_nats") for kind in kinds},
    )


def summarised(tokens: Tokens, mu: float) -> dict[str, Any]:
    """Means over all tokens and over each slot, the histogram of alpha, and how often mu decides nothing.

    Where the teacher's first token alone has mass mu, the head is that token, whatever mu is.
    """
    slots = {slot: tokens.slots == slot.value for slot in Slot if (tokens.slots == slot.value).any()}
    return {
        "tokens": len(tokens.slots),
        "alpha_mean": _mean(tokens.alpha),
        "alpha_histogram": _histogram(tokens.alpha),
        "top1_histogram": _histogram(tokens.p_top1),
        "top1_below_mu": _mean(tokens.p_top1 < mu),
        "missing_mass": float(f"{tokens.missing_mass.mean():.3g}"),
        **{f"{kind}_nats": _mean(values) for kind, values in tokens.divergence_nats.items()},
        "slots": {
            slot.value: {
                "tokens": int(here.sum()),
                **{f"{kind}_nats": _mean(values[here]) for kind, values in tokens.divergence_nats.items()},
            }
            for slot, here in slots.items()
        },
    }


def _slots(response: Sequence[int], tokenizer: PreTrainedTokenizerBase, syntax: Syntax) -> list[Slot]:
    """The slot of each token of one response, the end token last."""
    text = tokenizer.decode(response[:-1], clean_up_tokenization_spaces=False)
    encoded = checkpoint.spelt(tokenizer, text, return_offsets_mapping=True)
    if encoded["input_ids"] != list(response[:-1]):
        raise ValueError(f"the response {text!r} does not tokenize to itself")
    return token_slots(text, [*encoded["offset_mapping"], (len(text), len(text))], syntax)


def _histogram(values: np.ndarray) -> list[int]:
    counts, _ = np.histogram(values, bins=BINS, range=(0, 1))
    return list(map(int, counts))


def _mean(values: np.ndarray) -> float:
    return round(float(values.mean()), 5)
