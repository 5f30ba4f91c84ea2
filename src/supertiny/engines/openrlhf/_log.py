"""OpenRLHF's output as the log of a run: the columns of the native engine's, empty where OpenRLHF does not say."""

import ast
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from supertiny.core.errors import UserError
from supertiny.engines.openrlhf._arguments import DEV_METRIC
from supertiny.rl.rewards import Level

STEP = re.compile(r"Global step (\d+): (\{.*\})")
DEV = re.compile(r"Evaluation completed in .*?, global_step (\d+), eval_metrics: (\{.*\})")
COLUMNS = {
    "reward": "rollout/reward_mean",
    "format": "format",
    "tokens": "rollout/response_length_mean",
    "cut_share": "rollout/truncated_rate",
    **{f"share: {level}": f"level: {level}" for level in Level},
    "policy": "policy_loss",
    "k2": "kl",
    "clipped": "ppo_clip_ratio",
    "entropy": "entropy_loss",
    "learning_rate": "actor_lr",
    "unscored": "unscored",
}
"""ours -> OpenRLHF's"""


def read_log(text: str) -> list[dict[str, Any]]:
    """One row a rollout batch, from 1; what a run that was started again repeats counts once, as it came last."""
    steps, dev = _found(STEP, text), _found(DEV, text)
    if not steps:
        raise UserError("engine openrlhf: its output holds no 'Global step' line; is it version 0.11.2?")
    rows, best, best_step = [], None, 0
    for step, said in sorted(steps.items()):
        measured = dev.get(step, {}).get(DEV_METRIC)
        if measured is not None and (best is None or measured > best):
            best, best_step = measured, step
        known = {ours: _number(said.get(theirs)) for ours, theirs in COLUMNS.items()}
        at_dev = {"dev_reward": _number(measured), "kept_step": "" if measured is None else best_step}
        rows.append({"step": step, "batch": step, **known, **at_dev, "dev_ar": "", "start_reward": ""})
    return rows


def _found(pattern: re.Pattern[str], text: str) -> dict[int, Mapping[str, Any]]:
    """The dictionaries that a kind of line shows, by step; a line that another one cut in two is left out."""
    rows = {}
    for step, shown in pattern.findall(text):
        try:
            rows[int(step)] = ast.literal_eval(re.sub(r"\b(nan|inf)\b", "None", shown))
        except (ValueError, SyntaxError):
            continue
    return rows


def _number(value: Any) -> Any:
    return round(value, 5) if isinstance(value, int | float) and isfinite(value) else ""
