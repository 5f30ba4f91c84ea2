"""What reinforcement learning did to each policy: rewards, and the replies that earned them (paper App. E, K)."""

from pathlib import Path

from supertiny.report.canvas import COLOURS, canvas
from supertiny.report.markdown import number, table
from supertiny.report.step import Step
from supertiny.report.summary import Row

TITLES = {"teacher_rl": "teacher", "tiny_rl": "student, KD", "tiny_star_rl": "student, KD*"}
PANELS = {
    "reward": "reward",
    "share: correct": "share of right replies",
    "tokens": "tokens a reply",
    "entropy": "entropy, nats",
    "k2": "k2 to the start, nats",
    "dev_reward": "reward on dev, greedy",
}


def summary(found: Row) -> Row:
    """`rl.teacher_rl.reward_first`, `reward_last`, `best_dev_reward`, ..."""
    return {
        name: {
            "steps": one["steps"],
            **{f"{key}_{end}": one[end][key] for end in ("first", "last") for key in ("reward", "tokens", "entropy")},
            **({"best_step": one["best"]["step"], "best_dev_reward": one["best"]["dev_reward"]} if one["best"] else {}),
        }
        for name, one in found.items()
    }


def rows(found: Row) -> list[Row]:
    """A row a run and optimizer step; what was not measured there is empty."""
    return [
        {"run": name} | {key: "" if value is None else value for key, value in point.items()}
        for name, one in found.items()
        for point in one["curve"]
    ]


def section(found: Row) -> str:
    """How each run began and ended."""
    head = [
        "policy",
        "steps",
        "reward",
        "right replies",
        "in the format",
        "tokens a reply",
        "entropy",
        "k2",
        "best step",
    ]
    keys = ("reward", "share: correct", "format", "tokens", "entropy", "k2")
    lines = []
    for name, one in found.items():
        ends = [f"{number(one['first'][key])} to {number(one['last'][key])}" for key in keys]
        best = one["best"]
        dev = f"{best['step']:.0f}: {number(best['dev_reward'])} on dev" if best else "-"
        lines.append([TITLES.get(name, name), number(one["steps"]), *ends, dev])
    return (
        "REINFORCE++-baseline on the rewards of App. B; the mean of the first three rollout batches to the last "
        "three. The policy with the highest greedy reward on dev is kept, the one before RL where none beat it.\n\n"
        + table(head, lines)
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
                    axes.plot(*zip(*curve, strict=True), color=COLOURS[at], marker=marker, label=TITLES.get(name, name))
            axes.set(title=title)
        for axes in grid[3:]:
            axes.set(xlabel="optimizer step")
        handles, labels = grid[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))


STEP = Step(
    stage="rl_history",
    file="rl.json",
    heading="Reinforcement learning (paper Tables 3 and 11, App. E)",
    summary=summary,
    section=section,
    rows=rows,
    draw=draw,
)
