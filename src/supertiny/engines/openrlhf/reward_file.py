"""The reward as OpenRLHF's custom reward file: `--reward.remote_url <path of this file>` (backends section 2.2).

OpenRLHF swallows what is raised here and goes on without a reward, so nothing is: whatever cannot be scored earns the
lowest reward and is counted in the extra log `unscored`. The data set's label column holds `label(...)`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from supertiny.core.calls import (
    Answer,
    Call,
    Function,
    Malformed,
    Parameter,
    Pool,
    Syntax,
    answer_from_json,
    answer_json,
)
from supertiny.core.records import TYPES, Example
from supertiny.rl.rewards import NOTHING, Reward, level_shares, reward


@dataclass(frozen=True, slots=True)
class Label:
    """What a reply is scored by."""

    offered: Pool
    """the candidates, without their descriptions"""
    answers: tuple[Answer, ...]
    """the right answers that the candidates can give"""
    syntax: Syntax
    """in which a call is due"""
    end: str
    """the special token that ends a reply, as the tokenizer writes it"""


def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Score one reply, or the mean of several: {"rewards": float, "scores": float, "extra_logs": {name: float}}.

    `queries[i]` is prompt and reply as decoded, special tokens and all. The extra logs always have the same names:
    `format`, `answer`, one share for each level, and `unscored` (the label cannot be read, or the prompt is not found).
    """
    rows = [_score(*row) for row in zip(queries, prompts, labels, strict=False)] or [None]
    scored = [row or NOTHING for row in rows]
    logs = {
        "format": _mean([row.format_score for row in scored]),
        "answer": _mean([row.answer_score for row in scored]),
        **{f"level: {level}": share for level, share in level_shares(scored).items()},
        "unscored": _mean([float(row is None) for row in rows]),
    }
    value = _mean([row.value for row in scored])
    return {"rewards": value, "scores": value, "extra_logs": logs}


def label(example: Example, pool: Pool, syntax: Syntax, end: str) -> str:
    """The label of `example` as JSON; `end` is the tokenizer's end token, cut off a reply before it is read."""
    offered = {name: _parameters(pool[name]) for name in example.candidates}
    answers = [answer_json(a) for a in example.answers if not isinstance(a, Call) or a.name in offered]
    return json.dumps({"offered": offered, "answers": answers, "syntax": syntax, "end": end}, ensure_ascii=False)


def read_label(text: str) -> Label | None:
    """What `label` wrote; None for anything else. Total."""
    try:
        row = json.loads(text)
        offered = {name: _function(name, spec) for name, spec in row["offered"].items()}
        answers = tuple(answer_from_json(value, offered) for value in row["answers"])
        syntax, end = Syntax(row["syntax"]), row["end"]
    except Exception:  # whatever a foreign label makes fail: its JSON, types, keys or depth
        return None
    right = tuple(answer for answer in answers if not isinstance(answer, Malformed))
    return Label(offered, right, syntax, end) if isinstance(end, str) and len(right) == len(answers) else None


def _score(query: Any, prompt: Any, text: Any) -> Reward | None:
    """The reward of a reply, or None where it cannot be told."""
    found = read_label(text)
    reply = _reply(query, prompt, found.end) if found else None
    return reward(reply, found.answers, found.offered, found.syntax) if found and reply is not None else None


def _reply(query: Any, prompt: Any, end: str) -> str | None:
    """What follows the prompt, which a token of the tokenizer may precede; None where the prompt is not there."""
    if not isinstance(query, str) or not isinstance(prompt, str) or prompt not in query:
        return None
    return query[query.index(prompt) + len(prompt) :].rstrip().removesuffix(end)


def _parameters(function: Function) -> dict[str, dict[str, Any]]:
    return {name: _spec(parameter) for name, parameter in function.parameters.items()}


def _spec(parameter: Parameter) -> dict[str, Any]:
    items = {"items": _spec(parameter.items)} if parameter.items else {}
    return {"type": parameter.type, "required": parameter.required, "enum": list(parameter.enum), **items}


def _function(name: str, spec: Any) -> Function:
    return Function(name, "", {key: _parameter(one) for key, one in spec.items()})


def _parameter(spec: Any) -> Parameter:
    items = _parameter(spec["items"]) if "items" in spec else None
    found = Parameter(spec["type"], "", spec["required"], tuple(spec["enum"]), items)
    if found.type not in TYPES or not isinstance(found.required, bool):
        raise ValueError(f"{spec}: not a schema")
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
