"""A pruned model: first its vocabulary is trimmed, then the search finds what of depth and width may go."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from supertiny.core.files import whole_folder
from supertiny.core.records import Example
from supertiny.measure.flops import ModelShape
from supertiny.model import checkpoint
from supertiny.model.batches import Batch, Pack, collate
from supertiny.model.hardware import device
from supertiny.prune.config import PruneConfig, PrunedConfig
from supertiny.prune.importance import Importance, measure
from supertiny.prune.search import Counted, Scored, candidates, cut, search
from supertiny.prune.texts import domain_texts
from supertiny.prune.vocab import trim_vocabulary
from supertiny.prune.width import loadable
from supertiny.sft.training_set import TrainingSet


def measured(base: Path, data: TrainingSet, cfg: PruneConfig) -> Importance:
    """What matters in the model `base`, on the first prompts of `data`."""
    tokenizer, model = checkpoint.load_tokenizer(base), checkpoint.load_model(base).to(device())
    return measure(model, _batches(data.packs(tokenizer)[: cfg.calibration_packs], tokenizer))


def prune(
    base: Path,
    data: TrainingSet,
    queries: Sequence[Example],
    others: Sequence[str],
    importance: Importance,
    cfg: PruneConfig,
    budget: PrunedConfig,
    out: Path,
) -> dict[str, Any]:
    """Write to `out` the shape of lowest perplexity that keeps `budget`, cut from `base`; give back the search's table.

    `data`, `queries` and `others`: texts whose tokens are kept. `importance` is that of `base`, its
    vocabulary trimmed or not: the rows that are left are what they were.
    """
    importance.must_be_of(checkpoint.load_config(base))
    tokenizer, model = checkpoint.load_tokenizer(base), checkpoint.load_model(base)
    packs = data.packs(tokenizer)
    if cfg.trim_vocabulary:
        model, tokenizer = trim_vocabulary(model, tokenizer, [*domain_texts(data, packs, queries, tokenizer), *others])
        packs = data.packs(tokenizer)
    counted = _counted(model, packs[: cfg.calibration_packs])
    shapes = candidates(counted, budget, cfg.granularity)
    model, batches = model.to(device()), _batches(packs[: cfg.score_packs], tokenizer)
    whole = search(model, importance, [counted.whole], batches, counted, cfg)[0]
    rows = search(model, importance, shapes, batches, counted, cfg)
    best = min(rows, key=lambda row: row.perplexity)
    cut(model, importance, best.shape, cfg.groups, cfg.own_inter)
    with whole_folder(out) as partial:
        checkpoint.save(loadable(model), tokenizer, partial)
    return {
        "base": _row(whole),
        "budget": str(budget),
        "rows": [_row(row) | {"chosen": row is best} for row in rows],
    }


def _batches(packs: Sequence[Pack], tokenizer: PreTrainedTokenizerBase) -> list[Batch]:
    return [collate([pack], tokenizer.pad_token_id) for pack in packs]


def _counted(model: PreTrainedModel, packs: Sequence[Pack]) -> Counted:
    """`model` with the mean lengths of the requests in `packs`, rounded up."""
    prompts = [len(pack.prefix) + len(branch.prompt) for pack in packs for branch in pack.branches]
    answers = [len(branch.response) for pack in packs for branch in pack.branches]
    shape = ModelShape.from_config(model.config)
    return Counted(shape, model.config.tie_word_embeddings, ceil(fmean(prompts)), ceil(fmean(answers)))


def _row(scored: Scored) -> dict[str, Any]:
    return {
        "layers": scored.shape.layers,
        "hidden": scored.shape.hidden,
        "inter": scored.shape.inter,
        "parameters_m": round(scored.parameters / 1e6, 3),
        "gflops": round(scored.flops / 1e9, 3),
        "perplexity": round(scored.perplexity, 4),
    }
