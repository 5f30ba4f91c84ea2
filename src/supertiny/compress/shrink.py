"""A pruned model: first its vocabulary is trimmed, then the search finds what of depth and width may go."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from supertiny.compress.cut import loadable
from supertiny.compress.importance import Importance, measure
from supertiny.compress.search import Counted, PruneConfig, PrunedConfig, Scored, Shape, candidates, cut, search
from supertiny.compress.vocab import trim_vocabulary
from supertiny.core.config import require
from supertiny.core.errors import UserError
from supertiny.core.files import whole_folder
from supertiny.core.prompt import own_part, shared_part
from supertiny.core.records import Example
from supertiny.model import checkpoint
from supertiny.model.batches import Batch, Pack, collate
from supertiny.model.flops import ModelShape
from supertiny.model.hardware import device
from supertiny.model.sources import random_model
from supertiny.sft.packs import TrainingSet


def domain_texts(
    data: TrainingSet, packs: Sequence[Pack], queries: Sequence[Example], tokenizer: PreTrainedTokenizerBase
) -> list[str]:
    """Texts of `packs` (training examples of `data`), of `queries`, and of every function that may be offered."""
    asked = [own_part(query, data.pool, data.prompt) for query in queries]
    offered = [shared_part([function], data.prompt) for function in data.pool.values()]
    return [*_said(packs, tokenizer), *asked, *offered]


def _said(packs: Sequence[Pack], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    pieces = [pack.prefix for pack in packs]
    pieces += [ids for pack in packs for branch in pack.branches for ids in (branch.prompt, branch.response)]
    return [tokenizer.decode(ids, skip_special_tokens=False) for ids in pieces]


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


TEACHER = "sft"
"""folder of the fine-tuned model: a student may be made of its blocks, but is no student if it keeps them all"""
CALIBRATION_PACKS = 24
"""training prompts that the importance of blocks and channels is measured on"""


@dataclass(kw_only=True, slots=True)
class StudentConfig:
    """One entry of `student_models` of the profile: a small model before it is taught."""

    layers: int
    """blocks of the base model that are kept, those of highest importance; 0: all"""
    inter: int
    """feed-forward channels that each of them keeps, in the same way; 0: all"""
    trim_vocabulary: bool
    """keep only the tokens that the domain reads or writes"""
    init: str | None
    """null: the base model's weights; else a random model of this shape with the base model's tokenizer, as key=integer
    pairs of a Qwen2 config"""

    def __post_init__(self) -> None:
        for name in ("layers", "inter"):
            value = getattr(self, name)
            require(value >= 0, f"{name}: expected 0 or more, got {value}")
            require(not (self.init and value), f"{name}: must be 0 where init gives the shape")


def make_student(base: Path, data: TrainingSet, queries: Sequence[Example], out: Path, cfg: StudentConfig) -> None:
    """Make the student of `cfg` from `base` and write it to `out`.

    `data` is what it will be taught, `queries` what it may be asked besides: the tokens of both are kept.
    """
    tokenizer = checkpoint.load_tokenizer(base)
    packs = data.packs(tokenizer)
    model = random_model(cfg.init, tokenizer, data.seed) if cfg.init else checkpoint.load_model(base)
    if cfg.layers or cfg.inter:
        shown = (collate([pack], tokenizer.pad_token_id) for pack in packs[:CALIBRATION_PACKS])
        layers = _kept("layers", cfg.layers, model.config.num_hidden_layers, base)
        inter = _kept("inter", cfg.inter, model.config.intermediate_size, base)
        cut(model, measure(model, shown), Shape(layers, model.config.hidden_size, inter))
    elif not cfg.init and base.name == TEACHER:
        raise UserError(
            f"a student would be all of {base}: profile: student_models: set layers, inter or init, or give it another "
            "base (params.yaml: students.<name>.of=student)"
        )
    if cfg.trim_vocabulary:
        model, tokenizer = trim_vocabulary(model, tokenizer, domain_texts(data, packs, queries, tokenizer))
    with whole_folder(out) as partial:
        checkpoint.save(model, tokenizer, partial)


def _kept(name: str, wanted: int, there: int, base: Path) -> int:
    if wanted > there:
        raise UserError(f"profile: student_models: {name}: {wanted} are to be kept, {base} has {there}")
    return wanted or there
