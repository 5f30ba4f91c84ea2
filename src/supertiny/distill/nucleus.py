"""Which of the teacher's next-token probabilities are kept: the nucleus, with a floor and a cap (algorithms section 8).

Shapes: N response tokens, V real vocabulary, K most ids kept.
"""

import numpy as np
import torch
from torch import Tensor

from supertiny.core.errors import UserError
from supertiny.distill.rows import LogitsConfig, Rows

LEAST = float(np.finfo(np.float16).min)
"""log of a probability that is as good as none; e to its power is 0"""


def real_log_probs(logits_NP: Tensor, vocabulary_size: int, temperature: float) -> Tensor:
    """Log-probabilities [N, vocabulary_size] in fp32: padded vocabulary rows are cut before the softmax."""
    if logits_NP.shape[-1] < vocabulary_size:
        raise UserError(
            f"the teacher scores {logits_NP.shape[-1]} tokens, its tokenizer has {vocabulary_size}: "
            "they do not belong together; make the teacher again with its own tokenizer"
        )
    return (logits_NP[..., :vocabulary_size].float() / temperature).log_softmax(-1)


def nucleus(log_probs_NV: Tensor, cfg: LogitsConfig) -> Rows:
    """For each token the fewest ids whose mass reaches `cfg.top_p`, within `cfg.min_k` and `cfg.top_k`; never rescaled.

    >>> cfg = LogitsConfig(top_k=3, top_p=0.75, min_k=1, temperature=1.0)
    >>> rows = nucleus(torch.tensor([[0.1, 0.5, 0.1, 0.3]]).log(), cfg)
    >>> rows.ids.tolist(), rows.counts.tolist(), rows.missing.round(3).tolist()
    ([1, 3], [2], [0.2])
    """
    if not bool((log_probs_NV <= 0).all()):  # NaN is not
        raise UserError("the teacher's log-probabilities are above 0 or not numbers; look at its training curve")
    size = log_probs_NV.shape[-1]
    log_probs_NK, ids_NK = log_probs_NV.topk(min(cfg.top_k, size), dim=-1)
    counts_N = _counts(log_probs_NK, cfg)
    kept_NK = torch.arange(log_probs_NK.shape[-1], device=counts_N.device) < counts_N[:, None]
    tail_NV = log_probs_NV.scatter(-1, ids_NK, log_probs_NK.masked_fill(kept_NK, -torch.inf))
    return Rows(
        ids_NK[kept_NK].to(torch.int32).cpu().numpy(),
        _half(log_probs_NK[kept_NK]),
        counts_N.cpu().numpy(),
        _half(tail_NV.logsumexp(-1)),
    )


def _counts(log_probs_NK: Tensor, cfg: LogitsConfig) -> Tensor:
    most = log_probs_NK.shape[-1]
    if cfg.top_p >= 1:  # a rounded cumulative sum may never get there
        return torch.full(log_probs_NK.shape[:1], most, device=log_probs_NK.device)
    mass_NK = log_probs_NK.double().exp().cumsum(-1)
    return ((mass_NK < cfg.top_p).sum(-1) + 1).clamp(min(cfg.min_k, most), most)


def _half(log_probs: Tensor) -> np.ndarray:
    return log_probs.clamp(LEAST, 0).to(torch.float16).cpu().numpy()
