"""Architecture search under a budget: which shape, cut from the base at once, reads the domain best (paper Table 8)."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from math import exp

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from supertiny.compress.config import Budget, Granularity, ShrinkConfig
from supertiny.compress.cut import Importance, keep_channels, keep_layers, least_important, most_important_groups
from supertiny.core.errors import UserError
from supertiny.model.batches import Batch
from supertiny.model.flops import ModelShape, gemm_flops, parameters
from supertiny.model.hardware import compute_dtype
from supertiny.model.train import ResponseLogits, cross_entropy

BYTES_A_WEIGHT = 4
"""checkpoints are written in float32"""
EACH = Granularity(hidden=1, inter=1)
"""every channel stays or goes by itself"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a decoder is searched for."""

    layers: int
    hidden: int
    inter: int

    def covers(self, other: "Shape") -> bool:
        """Whether `other` is another shape that has nothing more than this one."""
        no_more = other.layers <= self.layers and other.hidden <= self.hidden and other.inter <= self.inter
        return self != other and no_more


@dataclass(frozen=True, slots=True)
class Counted:
    """A model that is to be pruned, and the request that its operations are counted for."""

    model: ModelShape
    tied: bool
    prompt_tokens: int
    """s_t, mean of the calibration set"""
    own_tokens: int
    """s_u of them: behind the list of functions, which is cached"""
    answer_tokens: int

    @property
    def whole(self) -> Shape:
        """Nothing pruned."""
        return Shape(self.model.num_layers, self.model.hidden, self.model.intermediate)

    def parameters(self, shape: Shape) -> int:
        """Number of weights that are left."""
        return parameters(self._cut(shape), self.tied)

    def flops(self, shape: Shape) -> int:
        """Exact operations of one request."""
        return gemm_flops(self._cut(shape), self.prompt_tokens, self.own_tokens, self.answer_tokens)

    def count(self, of: str, shape: Shape) -> float:
        """What a budget `of` parameters, gflops or bytes counts."""
        if of == "gflops":
            return self.flops(shape) / 1e9
        return self.parameters(shape) * (BYTES_A_WEIGHT if of == "bytes" else 1)

    def limit(self, budget: Budget) -> float:
        """The count that `budget` allows."""
        return budget.at_most or (budget.share or 1) * self.count(budget.of, self.whole)

    def _cut(self, shape: Shape) -> ModelShape:
        return replace(self.model, num_layers=shape.layers, hidden=shape.hidden, intermediate=shape.inter)


@dataclass(frozen=True, slots=True)
class Scored:
    """One row of the search."""

    shape: Shape
    parameters: int
    flops: int
    perplexity: float


def candidates(base: Counted, budget: Budget, granularity: Granularity) -> list[Shape]:
    """For every pair of widths the most layers that keep `budget`, at least half of the base's, largest first.

    Left out is what another one covers: it could only be worse.
    """
    whole = base.whole
    deep, wide = ("depth" in budget.axes), ("width" in budget.axes)
    depths = range(whole.layers, -(-whole.layers // 2) - 1, -1) if deep else [whole.layers]
    hiddens = _grid("hidden", whole.hidden, granularity.hidden) if wide else [whole.hidden]
    inters = _grid("inter", whole.inter, granularity.inter) if wide else [whole.inter]
    limit = base.limit(budget)

    def deepest(hidden: int, inter: int) -> Shape | None:
        shapes = (Shape(layers, hidden, inter) for layers in depths)
        return next((one for one in shapes if base.count(budget.of, one) <= limit), None)

    fitting = [shape for pair in product(hiddens, inters) if (shape := deepest(*pair))]
    if not fitting:
        raise UserError(
            f"trained.shrink: no shape of at least {depths[-1]} layers has at most {budget} along the axes "
            f"{', '.join(budget.axes)}; allow more, add an axis, or lower shrink.granularity"
        )
    kept = [one for one in fitting if not any(other.covers(one) for other in fitting)]
    return sorted(kept, key=lambda one: (one.layers, one.hidden, one.inter), reverse=True)


def search(
    model: PreTrainedModel,
    importance: Importance,
    shapes: Sequence[Shape],
    batches: Sequence[Batch],
    base: Counted,
    cfg: ShrinkConfig,
) -> list[Scored]:
    """The perplexity on `batches` of `model` cut to each of `shapes`, in their order; `model` stays as it is.

    In bfloat16 where the machine multiplies it faster: what is left of a base is far from its last digits.
    """
    rows, dtype = [], compute_dtype("auto")
    for shape in tqdm(shapes, desc="search", unit="shape"):
        copy = deepcopy(model)
        cut(copy, importance, shape, cfg.groups, cfg.own_inter)
        rows.append(Scored(shape, base.parameters(shape), base.flops(shape), perplexity(copy.to(dtype), batches)))
    return rows


def cut(
    model: PreTrainedModel, importance: Importance, shape: Shape, groups: Granularity = EACH, own_inter: bool = True
) -> None:
    """Leave `model`, in place, the most important blocks and channels, as many as `shape` has."""
    num = len(importance.layers)
    dropped = least_important(importance.layers, num - shape.layers)
    kept = [index for index in range(num) if index not in dropped]
    everywhere = [sum(scores) for scores in zip(*importance.inter, strict=True)]
    inter = [importance.inter[index] if own_inter else everywhere for index in kept]
    keep_layers(model, kept)
    keep_channels(
        model,
        _kept(importance.hidden, groups.hidden, shape.hidden),
        [_kept(scores, groups.inter, shape.inter) for scores in inter],
    )


@torch.inference_mode()
def perplexity(model: PreTrainedModel, batches: Sequence[Batch]) -> float:
    """exp of the mean -log p of a response token of `batches`."""
    score, total, count = ResponseLogits(model), 0.0, 0
    for batch in batches:
        here = batch.to(model.device)
        total += float(cross_entropy(score(here), here))
        count += len(here.targets)
    return exp(total / count)


def _grid(name: str, size: int, granularity: int) -> range:
    """Sizes in steps of `granularity`, the largest first."""
    if size % granularity:
        raise UserError(f"shrink.granularity.{name}: {granularity} does not divide the base's {size} channels")
    return range(size, 0, -granularity)


def _kept(scores: Sequence[float], granularity: int, num: int) -> list[int]:
    """All channels where none goes, whatever the granularity: then it need not divide them."""
    return list(range(num)) if num == len(scores) else most_important_groups(scores, granularity, num)
