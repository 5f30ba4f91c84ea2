"""A smaller model made of a larger one: fewer blocks and channels, the domain's tokens alone (paper 3.3, App. I)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from supertiny.compress.config import Budget, ShrinkConfig
from supertiny.compress.cut import Importance, loadable, measure
from supertiny.compress.search import Counted, Scored, Shape, candidates, cut, search
from supertiny.compress.vocab import trim_vocabulary
from supertiny.core.errors import UserError
from supertiny.core.files import whole_folder
from supertiny.core.prompt import own_part, shared_part
from supertiny.core.records import Example
from supertiny.model import checkpoint
from supertiny.model.batches import Batch, Pack, collate
from supertiny.model.flops import ModelShape
from supertiny.model.hardware import device
from supertiny.model.sources import random_model
from supertiny.sft.general import GeneralSet, pieces
from supertiny.sft.packs import TrainingSet

TEACHER = "sft"
"""folder of the fine-tuned model: a student may be made of its blocks, but is no student if it keeps all it has"""


@dataclass(frozen=True, slots=True)
class Texts:
    """All that a smaller model must still be able to read and write."""

    data: TrainingSet
    """what it will be taught; importance and perplexity are measured on its first prompts"""
    queries: Sequence[Example]
    """what it may be asked besides"""
    general: GeneralSet | None
    """what it recovers on; None: it need not spell it"""


def shrink(base: Path, texts: Texts, cfg: ShrinkConfig, out: Path) -> dict[str, Any]:
    """Write what `cfg` leaves of `base` to `out`; give back the search's table, or that nothing was searched."""
    return _searched(base, texts, cfg, cfg.budget, out) if cfg.budget else _shaped(base, texts, cfg, out)


def domain_texts(data: TrainingSet, packs: Sequence[Pack], queries: Sequence[Example]) -> list[str | Sequence[int]]:
    """What `packs` (training examples of `data`), `queries`, and every function that may be offered say.

    Of packs their tokens: decoded, an end token could not be told from a query that spells it.
    """
    found: list[str | Sequence[int]] = [pack.prefix for pack in packs]
    found += [ids for pack in packs for branch in pack.branches for ids in (branch.prompt, branch.response)]
    found += [own_part(query, data.pool, data.prompt.history_turns, data.prompt.answer) for query in queries]
    return [*found, *(shared_part([function], data.prompt) for function in data.pool.values())]


def _shaped(base: Path, texts: Texts, cfg: ShrinkConfig, out: Path) -> dict[str, Any]:
    """The shape is given: shares of the base's blocks and channels, or a random model's."""
    tokenizer = checkpoint.load_tokenizer(base)
    packs = texts.data.packs(tokenizer)
    model = random_model(cfg.init, tokenizer, texts.data.seed) if cfg.init else checkpoint.load_model(base)
    whole = not cfg.init and cfg.blocks == cfg.channels == 1
    if whole and not cfg.trim_vocabulary:
        raise UserError(
            f"params.yaml: trained.shrink: {out.name} would be all of {base}: set blocks, channels, init or "
            "trim_vocabulary"
        )
    if not cfg.init and not whole:
        kept = Shape(
            _kept(cfg.blocks, model.config.num_hidden_layers),
            model.config.hidden_size,
            _kept(cfg.channels, model.config.intermediate_size),
        )
        calibration = _batches(packs[: cfg.calibration_packs], tokenizer)
        cut(model, measure(model, calibration, cfg.by_output), kept, cfg.groups, cfg.own_inter)
    if cfg.trim_vocabulary:
        model, tokenizer = trim_vocabulary(model, tokenizer, _kept_texts(texts, packs, tokenizer))
    with whole_folder(out) as partial:
        checkpoint.save(model, tokenizer, partial)
    return {"searched": False}


def _searched(base: Path, texts: Texts, cfg: ShrinkConfig, budget: Budget, out: Path) -> dict[str, Any]:
    """The shape of lowest perplexity that keeps `budget`.

    Importance is that of the base as it is: the rows that a trimmed vocabulary leaves are what they were.
    """
    tokenizer, model = checkpoint.load_tokenizer(base), checkpoint.load_model(base)
    packs = texts.data.packs(tokenizer)
    calibration = _batches(packs[: cfg.calibration_packs], tokenizer)
    importance = measure(model.to(device()), calibration, cfg.by_output)
    if cfg.trim_vocabulary:
        model, tokenizer = trim_vocabulary(model.cpu(), tokenizer, _kept_texts(texts, packs, tokenizer))
        packs = texts.data.packs(tokenizer)
    counted = _counted(model, packs[: cfg.calibration_packs])
    shapes = candidates(counted, budget, cfg.granularity)
    model, batches = model.to(device()), _batches(packs[: cfg.score_packs], tokenizer)
    whole = search(model, importance, [counted.whole], batches, counted, cfg)[0]
    rows = search(model, importance, shapes, batches, counted, cfg)
    best = min(rows, key=lambda row: row.perplexity)
    cut(model, importance, best.shape, cfg.groups, cfg.own_inter)
    with whole_folder(out) as partial:
        checkpoint.save(loadable(model), tokenizer, partial)
    return _table(importance, budget, whole, rows, best)


def _kept_texts(texts: Texts, packs: Sequence[Pack], tokenizer: PreTrainedTokenizerBase) -> list[str | Sequence[int]]:
    """Whose tokens stay."""
    domain = domain_texts(texts.data, packs, texts.queries)
    return [*domain, *(pieces(texts.general, tokenizer) if texts.general else [])]


def _kept(share: float, there: int) -> int:
    """So many, one at least.

    >>> _kept(0.67, 30), _kept(0.67, 2), _kept(1.0, 1536)
    (20, 1, 1536)
    """
    return max(round(share * there), 1)


def _batches(packs: Sequence[Pack], tokenizer: PreTrainedTokenizerBase) -> list[Batch]:
    return [collate([pack], tokenizer.pad_token_id) for pack in packs]


def _counted(model: PreTrainedModel, packs: Sequence[Pack]) -> Counted:
    """`model` with the mean lengths of the requests in `packs`, rounded up."""
    prompts = [len(pack.prefix) + len(branch.prompt) for pack in packs for branch in pack.branches]
    own = [len(branch.prompt) for pack in packs for branch in pack.branches]
    answers = [len(branch.response) for pack in packs for branch in pack.branches]
    means = (ceil(fmean(lengths)) for lengths in (prompts, own, answers))
    return Counted(ModelShape.from_config(model.config), model.config.tie_word_embeddings, *means)


def _table(
    importance: Importance, budget: Budget, whole: Scored, rows: Sequence[Scored], best: Scored
) -> dict[str, Any]:
    return {
        "searched": True,
        "importance": importance.layers,
        "base": _row(whole),
        "budget": str(budget),
        "rows": [_row(row) | {"chosen": row is best} for row in rows],
    }


def _row(scored: Scored) -> dict[str, Any]:
    return {
        "layers": scored.shape.layers,
        "hidden": scored.shape.hidden,
        "inter": scored.shape.inter,
        "parameters_m": round(scored.parameters / 1e6, 3),
        "gflops": round(scored.flops / 1e9, 3),
        "perplexity": round(scored.perplexity, 4),
    }
