"""When a run has gone wrong for good: the reward fell, or replies became empty or endless."""

from collections.abc import Mapping, Sequence
from typing import Any

from supertiny.rl.config import CollapseConfig


def collapsed(rows: Sequence[Mapping[str, Any]], cfg: CollapseConfig) -> str | None:
    """Why a run with these log rows, one a rollout batch, is given up; None: it is not.

    A limit must be broken by the last `cfg.batches` rows, all of them. Rows have `reward`, `tokens`, `cut_share`.
    """
    last = rows[-cfg.batches :]
    if len(last) < cfg.batches:
        return None
    least = rows[0]["reward"] - cfg.reward_drop
    means = {name: sum(row[name] for row in last) / len(last) for name in ("reward", "tokens", "cut_share")}
    over = f"over the last {cfg.batches} rollout batches"
    if all(row["reward"] < least for row in last):
        return f"the reward collapsed: {means['reward']:.2f} {over}, {rows[0]['reward']:.2f} at the start"
    if all(row["tokens"] < cfg.min_tokens for row in last):
        return f"replies collapsed: {means['tokens']:.1f} tokens {over}, rl.collapse.min_tokens is {cfg.min_tokens}"
    if all(row["cut_share"] > cfg.max_cut_share for row in last):
        return f"replies do not end: {means['cut_share']:.2f} of them were cut at rl.max_new_tokens {over}"
    return None
