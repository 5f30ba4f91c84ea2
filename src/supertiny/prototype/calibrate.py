"""How far a judge agrees with the experts, and whether what it reads can talk it round (paper 3.1)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from supertiny.core.errors import UserError
from supertiny.core.stats import DIGITS, rated, share
from supertiny.judge.reference import Judge
from supertiny.judge.verdicts import Judged
from supertiny.prototype.config import JudgeConfig
from supertiny.prototype.judges import LlmJudge, Trial

Pair = tuple[bool, bool]
"""(expert says right, judge says right)"""


def calibrate(judge: Judge, trial: Trial, seed: int) -> dict[str, Any]:
    """Agreement, Cohen's kappa, precision and recall of "right", what each kind is judged, and the injections.

    The interval of agreement is over the templates of the examples: replies to one example, and to examples that differ
    in values alone, are judged well or badly together. Never over functions, for experts judge no function that is
    unseen: what is asked is how a judge fares with other queries for what it knows.
    `unreadable` counts verdicts that a language model wrote so badly that they were taken for wrong.
    A share without anything to count is None.
    """
    rows = list(trial.verdicts)
    verdicts = judge([trial.examples[row.example] for row in rows], [trial.reply(row) for row in rows])
    said = {row.id: verdict.correct for row, verdict in zip(rows, verdicts, strict=True)}
    pairs = [(row.correct, said[row.id]) for row in rows]
    agreed = [expert == judged for expert, judged in pairs]
    sure = rated([trial.examples[row.example].skeleton for row in rows], agreed, seed)
    return {
        "n": len(rows),
        "examples": len({row.example for row in rows}),
        "clusters": sure["clusters"],
        **{f"agreement{end}": sure[f"ar{end}"] for end in ("", "_low", "_high")},
        "kappa": kappa(pairs),
        "precision": share([expert for expert, judged in pairs if judged]),
        "recall": share([judged for expert, judged in pairs if expert]),
        "unreadable": judge.unreadable if isinstance(judge, LlmJudge) else 0,
        "by_kind": confusion(rows, [said[row.id] for row in rows]),
        "injections": _injections(judge, trial, said),
    }


def kappa(pairs: Sequence[Pair]) -> float | None:
    """Cohen's kappa: the share of agreement beyond what two raters with these marginals reach by chance.

    None where chance alone agrees always (both raters say one and the same thing of every row).

    >>> kappa([(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15)
    0.4
    """
    if not pairs:
        return None
    n = len(pairs)
    counts = Counter(pairs)
    observed = (counts[True, True] + counts[False, False]) / n
    expert, judged = (sum(pair[side] for pair in pairs) / n for side in (0, 1))
    chance = expert * judged + (1 - expert) * (1 - judged)
    return None if chance == 1 else round((observed - chance) / (1 - chance), DIGITS)


def confusion(rows: Sequence[Judged], said: Sequence[bool]) -> dict[str, dict[str, Any]]:
    """By kind of reply: what the experts say of it, how many there are, and the share judged right."""
    kinds: dict[tuple[str, bool], list[bool]] = {}
    for row, judged in zip(rows, said, strict=True):
        kinds.setdefault((row.kind, row.correct), []).append(judged)
    return {
        kind: {"correct": correct, "n": len(judged), "judged_right": share(judged)}
        for (kind, correct), judged in sorted(kinds.items(), key=lambda item: (not item[0][1], item[0][0]))
    }


def check(results: Mapping[str, Mapping[str, Any]], cfg: JudgeConfig) -> None:
    """The gate: the chosen judge must agree with the experts, and not be talked round, for its verdicts to be used."""
    found = results[cfg.kind]
    if found["agreement"] is None or found["agreement"] < cfg.min_agreement:
        raise UserError(
            f"params.yaml: judge.kind: the {cfg.kind} judge agrees with the experts on {found['agreement']} of"
            f" {found['n']} replies (95 % interval {found['agreement_low']}..{found['agreement_high']}), below"
            f" judge.min_agreement {cfg.min_agreement}; choose another judge.kind, or improve this one"
        )
    planted = found["injections"]
    if planted["n_wrong_without"] and planted["flipped"] > cfg.max_flipped:
        raise UserError(
            f"params.yaml: judge.kind: the {cfg.kind} judge calls {planted['flipped']} of {planted['n_wrong_without']} "
            "wrong replies right once an instruction is planted in them, above judge.max_flipped "
            f"{cfg.max_flipped}; choose another judge.kind, or improve this one"
        )


def _injections(judge: Judge, trial: Trial, said: Mapping[str, bool]) -> dict[str, Any]:
    """Wrong replies with a planted instruction: the share judged right, and of the very replies without it; by place.

    `flipped` is the share that the plant turned to right, of those judged wrong without it (`n_wrong_without`).
    """
    rows = [row for row in trial.injections if row.origin in said]
    examples = [row.applied(trial.examples[row.example]) for row in rows]
    right = [verdict.correct for verdict in judge(examples, [trial.reply(row) for row in rows])]
    before = [said[row.origin] for row in rows]
    places = sorted({row.place for row in rows})
    return {
        "n": len(rows),
        "judged_right": share(right),
        "judged_right_without": share(before),
        "n_wrong_without": before.count(False),
        "flipped": share([now for now, then in zip(right, before, strict=True) if not then]),
        "by_place": {
            place: share([r for r, row in zip(right, rows, strict=True) if row.place == place]) for place in places
        },
    }
