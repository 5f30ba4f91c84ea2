"""How far a student is from its teacher, slot by slot, and which way alpha leans (paper Eq. 3-5)."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from supertiny.report.pictures import COLOURS, canvas
from supertiny.report.rows import Row
from supertiny.report.steps import Step, of_file
from supertiny.report.tables import number, table

TITLES = {"before": "before teaching", "rft": "RFT", "kd": "KD"}
NATS = {"akl_nats": "AKL", "fkl_nats": "forward KL", "rkl_nats": "reverse KL"}
ALL = "all tokens"


def figures(found: Row) -> Row:
    """`distance.kd.akl_nats`, `distance.kd.alpha_mean`, ..., and `distance.top1_below_mu`, `distance.missing_mass`."""
    names = (*NATS, "alpha_mean")
    rows = {name: {key: one[key] for key in names} for name, one in found["models"].items()}
    first = next(iter(found["models"].values()))
    return {**rows, **{key: first[key] for key in ("tokens", "top1_below_mu", "missing_mass")}}


def decides(found: Row) -> Row:
    """How near KD brought the student, and at how many tokens mu decides anything."""
    kd = found["models"]["kd"]
    return {"kd_akl_nats": kd["akl_nats"], "top1_below_mu": kd["top1_below_mu"]}


def rows(found: Row) -> list[Row]:
    """A row a model and slot: the divergences; a row a model and bin of alpha, and of the teacher's top-1."""
    made = []
    for name, one in found["models"].items():
        for slot, values in {ALL: one, **one["slots"]}.items():
            nats = {key: values[key] for key in NATS}
            made.append({"model": name, "kind": "slot", "slot": slot, "tokens": values["tokens"], **nats})
        for kind in ("alpha", "top1"):
            counts = one[f"{kind}_histogram"]
            for at, count in enumerate(counts):
                row = {"model": name, "kind": kind, "slot": f"{at / len(counts):.2f}", "tokens": count}
                made.append(row | dict.fromkeys(NATS, ""))
    return made


def section(found: Row) -> str:
    """Divergence of each model and slot."""
    models = found["models"]
    slots = list(dict.fromkeys(slot for one in models.values() for slot in one["slots"]))
    lines = []
    for name, one in models.items():
        lines.append([TITLES[name], *(number(one[key]) for key in NATS), number(one["alpha_mean"])])
        lines[-1] += [number(one["slots"][slot]["akl_nats"]) for slot in slots]
    first = next(iter(models.values()))
    below = number(first["top1_below_mu"])
    told = (
        f"Mean divergence from the teacher in nats at the {first['tokens']:,} response tokens of the dev examples that "
        f"the student spells as its teacher, with mu {found['mu']}; to the right the AKL of each part of an answer. "
        f"The teacher's likeliest token has less than mu at {below} of them: elsewhere the head is that one token, "
        f"whatever mu is. Of its mass {first['missing_mass']:.1e} is in the rest bucket: not stored, or of tokens that "
        "the student cannot write.\n\n"
    )
    return told + table(["student", *NATS.values(), "mean alpha", *slots], lines)


def draw(points: list[Row], out: Path) -> None:
    """AKL of each slot, the histogram of alpha, a colour a model; and at how many tokens mu decides anything."""
    names = list(dict.fromkeys(point["model"] for point in points))
    with canvas(out, 12, 4) as figure:
        left, middle, right = figure.subplots(1, 3, width_ratios=(3, 2, 2))
        _slots(left, names, [point for point in points if point["kind"] == "slot"])
        _alphas(middle, names, [point for point in points if point["kind"] == "alpha"])
        _below(right, [point for point in points if point["kind"] == "top1" and point["model"] == names[0]])
        handles, labels = left.get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


def _slots(axes: Axes, names: list[str], points: list[Row]) -> None:
    slots = list(dict.fromkeys(point["slot"] for point in points))
    width = 0.8 / max(len(names), 1)
    for at, name in enumerate(names):
        values: dict[str, Any] = {point["slot"]: point["akl_nats"] for point in points if point["model"] == name}
        places = [number + at * width for number in range(len(slots))]
        axes.bar(places, [values[slot] for slot in slots], width, color=COLOURS[at], label=TITLES[name], align="edge")
    axes.set_xticks([number + 0.4 for number in range(len(slots))], slots, rotation=25, ha="right")
    axes.set(ylabel="AKL from the teacher, nats (log)", yscale="log")


def _alphas(axes: Axes, names: list[str], points: list[Row]) -> None:
    for at, name in enumerate(names):
        counts = [(float(point["slot"]), point["tokens"]) for point in points if point["model"] == name]
        total, step = sum(count for _, count in counts) or 1, 1 / len(counts)
        edges = [start for start, _ in counts] + [1.0]
        axes.stairs([count / total for _, count in counts], edges, color=COLOURS[at], label=TITLES[name])
        axes.set(xlabel=f"alpha (bins of {step:.2f})", ylabel="share of tokens (log)", yscale="log")


def _below(axes: Axes, points: list[Row]) -> None:
    """The teacher is the same whoever learns from it."""
    total, below = sum(point["tokens"] for point in points) or 1, 0
    curve = []
    for at, point in enumerate(points, 1):
        below += point["tokens"]
        curve.append((at / len(points), below / total))
    axes.plot(*zip(*curve, strict=True), color="black", marker=".")
    axes.set(xlabel="mu", ylabel="tokens whose likeliest has less (log)", yscale="log")


STEP = Step(
    heading="From teacher to student, token by token (paper Eq. 3-5)",
    find=of_file("distance", "distance.json"),
    figures=figures,
    decides=decides,
    section=section,
    columns=("model", "kind", "slot", "tokens", *NATS),
    rows=rows,
    draw=draw,
)
