"""What reinforcement learning did to each policy: rewards, and the replies that earned them (paper App. E, K)."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.measure.compare import comparison, splits
from supertiny.measure.systems import COMPRESSED, MODEL, POLICIES
from supertiny.report.pictures import COLOURS, canvas
from supertiny.report.rows import Facts, Row
from supertiny.report.steps import Step
from supertiny.report.tables import number, rate, table

TITLES = {"teacher_rl": "teacher", "tiny_rl": "student, KD", "tiny_star_rl": "student, KD*"}
COLUMNS = {"test": "in domain", "ood_seen": "OOD seen", "ood_unseen": "OOD unseen"}
"""of Tables 3 and 11"""
PANELS = {
    "reward": "reward",
    "share: correct": "share of right replies",
    "tokens": "tokens a reply",
    "entropy": "entropy, nats",
    "k2": "k2 to the start, nats",
    "dev_reward": "reward on dev, greedy",
}


def find(facts: Facts) -> Row | None:
    """Every model before and after RL on the queries that all answered; how each run went; what thoughts came of it."""
    runs = history({name: facts.logs / f"{name}.csv" for name in facts.tables.trained.get("rl", {})})
    policies = [name for name, one in facts.of_kind(MODEL).items() if one.asked == POLICIES]
    traces = [
        {"policy": one["policy"], **read_json(facts.results / "traces" / f"{name}.json")}
        for name, one in facts.tables.traces.items()
    ]
    if not (runs or policies or traces):
        return None
    return {"models": _models(facts, policies) if policies else {}, "runs": runs, "traces": traces}


def _models(facts: Facts, policies: Sequence[str]) -> dict[str, Any]:
    """Each language model that is not compressed; a policy beside what it was trained from."""
    names = [name for name, one in facts.of_kind(MODEL).items() if one.asked != COMPRESSED]
    origins = {name: facts.tables.origin(name) for name in policies}
    starts = {name: start for name, start in origins.items() if start in names}
    verdicts = {name: facts.verdicts(name) for name in names}
    rows = comparison(verdicts, splits(facts.test, facts.ood), starts, facts.seed)
    tokens = {name: facts.systems[name].rates["workload"]["new_tokens"] for name in names}
    return {name: {"title": facts.titles[name], "tokens": tokens[name], **row} for name, row in rows.items()}


def figures(found: Row) -> Row:
    """`teacher_rl.test_ar`, `ood_seen_ar`, ...; of a trained policy also `reward_first`, `best_dev_reward`, ..."""
    models = {
        name: {"tokens": one["tokens"]}
        | {f"{column}_{key}": one[column][key] for column in COLUMNS for key in ("n", "ar", "difference")}
        for name, one in found["models"].items()
    }
    runs = {
        name: {
            "steps": one["steps"],
            **{f"{key}_{end}": one[end][key] for end in ("first", "last") for key in ("reward", "tokens", "entropy")},
            **({f"best_{key}": value for key, value in one["best"].items()} if one["best"] else {}),
        }
        for name, one in found["runs"].items()
    }
    return {name: models.get(name, {}) | runs.get(name, {}) for name in models | runs}


def decides(found: Row) -> Row:
    """Of each run its steps, and what the policy that is kept earns on dev."""
    return {
        name: {"steps": one["steps"], "best_dev_reward": one["best"]["dev_reward"] if one["best"] else None}
        for name, one in found["runs"].items()
    }


def rows(found: Row) -> list[Row]:
    """A row a run and optimizer step; what was not measured there is empty."""
    return [
        {"run": name} | {key: "" if value is None else value for key, value in point.items()}
        for name, one in found["runs"].items()
        for point in one["curve"]
    ]


def section(found: Row) -> str:
    """The rates of every model, then how each run began and ended."""
    parts = [
        *([_compared(found["models"])] if found["models"] else []),
        *([_trained(found["runs"])] if found["runs"] else []),
        *map(_taught, found["traces"]),
    ]
    return "\n\n".join(parts)


def _compared(models: Row) -> str:
    head = ["model", "tokens a reply"]
    for title in COLUMNS.values():
        head += [f"AR, {title}", f"n, {title}", "less that of its start"]
    lines = [
        [one["title"], number(one["tokens"], 1)] + [cell for column in COLUMNS for cell in _cells(one[column])]
        for one in models.values()
    ]
    return (
        "Every model on the queries that all of them answered. The start of a model is the one it was trained from; "
        "the difference is over these queries, each answered by both, with its 95 % interval.\n\n" + table(head, lines)
    )


def _cells(row: Row) -> list[str]:
    return [rate(row), number(row["n"]), rate(row, "difference")]


def _taught(traces: Row) -> str:
    who = TITLES.get(traces["policy"], traces["policy"])
    return (
        f"The {who} was asked {traces['asked']:,} queries after RL. KD* learns {traces['kept']:,} of its thoughts, "
        f"of {traces['words']} words on average, and {traces['rule_made']:,} that a rule made, where it was wrong."
    )


def _trained(runs: Row) -> str:
    head = ["policy", "steps", "reward", "right replies", "in the format", "tokens a reply", "entropy", "k2"]
    keys = ("reward", "share: correct", "format", "tokens", "entropy", "k2")
    lines = []
    for name, one in runs.items():
        ends = [f"{number(one['first'][key])} to {number(one['last'][key])}" for key in keys]
        best = one["best"]
        dev = [number(best["start_reward"]), number(best["dev_reward"]), f"{best['step']:.0f}"] if best else ["-"] * 3
        lines.append([TITLES.get(name, name), number(one["steps"]), *ends, *dev])
    return (
        "REINFORCE++-baseline on the rewards of App. B; the mean of the first three rollout batches to the last "
        "three. The policy with the highest greedy reward on dev is kept: at step 0 that before RL, where none beat it."
        "\n\n" + table([*head, "dev reward before", "of the one kept", "its step"], lines)
    )


def draw(points: list[Row], out: Path) -> None:
    """A panel a figure, a line a run, over optimizer steps."""
    names = list(dict.fromkeys(point["run"] for point in points))
    with canvas(out, 11.5, 6.0) as figure:
        grid = list(figure.subplots(2, 3, sharex=True).flat)
        for axes, (key, title) in zip(grid, PANELS.items(), strict=True):
            for at, name in enumerate(names):
                curve = [(p["step"], p[key]) for p in points if p["run"] == name and p[key] != ""]
                if curve:
                    marker = "o" if key == "dev_reward" else ""
                    axes.plot(
                        *zip(*curve, strict=True),
                        color=COLOURS[at % len(COLOURS)],
                        marker=marker,
                        label=TITLES.get(name, name),
                    )
            axes.set(title=title)
        for axes in grid[3:]:
            axes.set(xlabel="optimizer step")
        handles, labels = grid[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))


ENDS = 3
"""rollout batches whose mean stands for the beginning, and for the end, of a run"""
FOLLOWED = ("reward", "share: correct", "format", "tokens", "entropy", "k2", "clipped", "dev_reward", "dev_ar")
"""columns of the log that the report shows"""
KEPT = ("kept_step", "start_reward")
"""what is known at dev points: which policy is kept, 0 for the one before training, and what that one earned"""


def history(logs: Mapping[str, Path]) -> dict[str, Any]:
    """For each run its curve, a point an optimizer step, and how it began and ended."""
    return {name: _run(_read(path)) for name, path in logs.items()}


def _read(path: Path) -> list[dict[str, float | None]]:
    """The log's rows, None for what was not measured at a step."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; run the stage that makes it (`dvc repro rl`)")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"step", *FOLLOWED, *KEPT} <= rows[0].keys():
        raise UserError(f"{path}: not the log of a reinforcement learning run; run stage rl again")
    return [{name: float(row[name]) if row[name] else None for name in ("step", *FOLLOWED, *KEPT)} for row in rows]


def _run(rows: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    measured = [row for row in rows if row["dev_reward"] is not None]
    return {
        "steps": len(rows),
        "first": {name: _mean(rows[:ENDS], name) for name in FOLLOWED},
        "last": {name: _mean(rows[-ENDS:], name) for name in FOLLOWED},
        "best": _best(measured) if measured else None,
        "curve": [{name: row[name] for name in ("step", *FOLLOWED)} for row in rows],
    }


def _best(measured: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The policy that is kept: its step, 0 where none beat the one before training, and what both earn on dev."""
    step, start = (measured[-1][name] for name in KEPT)
    kept = next((row["dev_reward"] for row in measured if row["step"] == step), start)
    return {"step": step, "dev_reward": kept, "start_reward": start}


def _mean(rows: Sequence[Mapping[str, float | None]], name: str) -> float | None:
    values = [value for row in rows if (value := row[name]) is not None]
    return round(sum(values) / len(values), 5) if values else None


STEP = Step(
    heading="Reinforcement learning (paper Tables 3 and 11, App. E)",
    find=find,
    figures=figures,
    decides=decides,
    section=section,
    columns=("run", "step", *FOLLOWED),
    rows=rows,
    draw=draw,
)
