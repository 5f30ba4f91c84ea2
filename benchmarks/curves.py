"""What a labelled row and a minute are worth: AR of teacher, student and traditional system, trained on the same rows.

    python -m benchmarks.curves --model data/models/llm --encoder data/models/encoder --dataset data/dataset \
        --out benchmarks/curves

For each of `SIZES` and `SEEDS` the first rows of a shuffled training set, labelled as it is, teach the teacher as
params.yaml says, its student by answers and by the teacher's logits, and the traditional system. All answer dev and the
functions of dev_ood, on none of which anything is trained. Of fewer than `LEAST_READ` rows more passes are made, so
that the language models read as many. Each size and seed is a file in `out`, which the next run finds; a killed run
goes on at the system, and in its training, where it was. `out`.csv, .svg and .md are the points, the picture, the
table. A student's minutes are its own and those of its teacher and its logits. Only times of an idle machine compare.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

from benchmarks.answered import answered
from benchmarks.kept import measured, timed
from supertiny.baseline.config import BaselineConfig
from supertiny.baseline.train import train as train_traditional
from supertiny.compress.config import ShrinkConfig
from supertiny.compress.shrink import Texts, shrink
from supertiny.core.ask import DecodeConfig
from supertiny.core.config import PARAMS, load, load_over, load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, write_csv, write_json, write_text
from supertiny.core.records import Example, read_examples
from supertiny.core.stage import resumable, run
from supertiny.distill.config import DistillConfig, LogitsConfig, LogitsSizes
from supertiny.engines.native.logits import logits
from supertiny.engines.native.train import train
from supertiny.engines.systems import Places, open_system
from supertiny.engines.training import StoredLogits, TrainingPlan
from supertiny.measure.evaluate import labelled
from supertiny.measure.evaluate import rate as rates_of
from supertiny.model.config import TrainingConfig, TrainMachine
from supertiny.model.train import Job
from supertiny.model.trained import training
from supertiny.report.pictures import COLOURS, MARKERS, canvas
from supertiny.report.tables import number, rate, table
from supertiny.sft.packs import TrainingSet, read_training_set

SIZES, SEEDS, LEAST_READ, DEV = (100, 200, 400, 800, 1600, 3200), (0, 1), 400, 24
SPLITS = {"dev": "in domain (dev)", "dev_ood_unseen": "functions never seen (dev_ood)"}


def main(model: Path, encoder: Path, dataset: Path, out: Path) -> None:
    """Measure each size and seed that has no file in `out` yet; write points, picture and table."""
    cases = {f"{size} rows, seed {seed}": (size, seed) for seed in SEEDS for size in SIZES}
    found = points(measured(cases, out, lambda case: measure(model, encoder, dataset, *case)))
    write_csv(out.with_suffix(".csv"), found)
    draw(found, out.with_suffix(".svg"))
    write_text(out.with_suffix(".md"), _table(found))


def measure(model: Path, encoder: Path, dataset: Path, size: int, seed: int) -> dict[str, Any]:
    """Train all systems on the same rows, and let them answer."""
    data, splits = _data(dataset, size, seed)
    with resumable(f"curve-{size}-{seed}", model, encoder, PARAMS, data) as folder:
        here = _Lesson(data, splits, dataset, folder, load_profile("train", TrainMachine))
        traditional = here.once("traditional", lambda: here.traditional(encoder))
        teacher = here.once("teacher", lambda: here.language_model("teacher", model, training("sft", "sft")))
        stored = here.once("logits", here.logits)["minutes"]
        here.once("tiny", here.tiny)
        tiny, how = folder / "tiny", (training("sft", "tiny_rft"), training("distill", "tiny_kd"))
        rft = here.once("student, RFT", lambda: here.language_model("student, RFT", tiny, how[0]))
        kd = here.once("student, KD", lambda: here.language_model("student, KD", tiny, how[1], folder / "logits"))
    before = teacher["minutes"]
    systems = {"traditional": (traditional, 0), "teacher": (teacher, 0)}
    systems |= {"student, RFT": (rft, before), "student, KD": (kd, before + stored)}
    return {
        "rows": size,
        "seed": seed,
        "systems": {name: one | {"all_minutes": one["minutes"] + more} for name, (one, more) in systems.items()},
    }


@dataclass(frozen=True, slots=True)
class _Lesson:
    """The rows that all systems learn, the queries that they answer, and the folder where a killed run finds them."""

    data: TrainingSet
    splits: Mapping[str, Sequence[Example]]
    dataset: Path
    folder: Path
    machine: TrainMachine

    def once(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `make` finds, unless an earlier run has found it."""
        file = self.folder / f"{name}.json"
        if not file.exists():
            print(f"- {name}", flush=True)
            write_json(file, make())
        found: dict[str, Any] = read_json(file)
        return found

    def language_model(self, name: str, base: Path, how: TrainingConfig, teacher: Path | None = None) -> dict[str, Any]:
        """`base` fine-tuned on the rows, by the stored logits of `teacher` where there are any."""
        cfg = replace(how, epochs=how.epochs * max(1, LEAST_READ / len(self.data.examples)))
        source, loss = (StoredLogits(teacher), load("distill", DistillConfig)) if teacher else (None, None)
        plan = TrainingPlan(rows=self.data, cfg=cfg, teacher=source, divergence=loss)
        job = Job(base, self.folder / name, self.folder / f"{name}.csv", self.machine)
        _, minutes = timed(lambda: train(plan, job))
        data, decode = self.data, load("decode", DecodeConfig)
        rates, _ = answered(job.out, self.splits, data.pool, data.prompt, decode, data.seed)
        return {"minutes": minutes, "rates": rates}

    def logits(self) -> dict[str, Any]:
        """The teacher's, stored."""
        cfg, sizes = load("logits", LogitsConfig), load_profile("sizes.logits", LogitsSizes)
        teacher, out = self.folder / "teacher", self.folder / "logits"
        return {"minutes": timed(lambda: logits(teacher, self.data, out, cfg, sizes, self.machine))[1]}

    def tiny(self) -> dict[str, Any]:
        """What students are made of."""
        cfg = load_over(("shrink", "trained.shrink.tiny"), ShrinkConfig)
        texts = Texts(self.data, read_examples(self.dataset / "train.jsonl", self.data.pool), None)
        return shrink(self.folder / "teacher", texts, cfg, self.folder / "tiny")

    def traditional(self, encoder: Path) -> dict[str, Any]:
        """The system that all this replaces."""
        job = Job(encoder, self.folder / "traditional", self.folder / "traditional.csv", self.machine)
        data, cfg, dev = self.data, load("baseline", BaselineConfig), self.splits["dev"]
        turns = data.prompt.history_turns
        _, minutes = timed(lambda: train_traditional(job, data.examples, dev, data.pool, cfg, turns, data.seed))
        system = open_system("traditional", Places(model=job.out, encoder=encoder, data=self.dataset, pool=data.pool))
        rates, _ = rates_of(self.splits, system.answer(labelled(self.splits)), data.seed)
        return {"minutes": minutes, "rates": rates}


def points(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a system, split, size and seed."""
    return [
        {
            "system": name,
            "queries": split,
            "rows": one["rows"],
            "seed": one["seed"],
            "minutes": round(found["all_minutes"], 2),
            **{key: found["rates"][split][key] for key in ("n", "ar", "ar_low", "ar_high")},
        }
        for one in results
        for name, found in one["systems"].items()
        for split in SPLITS
    ]


def draw(found: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Rows and minutes from left to right, a line of panels a split; lines join the means over seeds."""
    names = list(dict.fromkeys(point["system"] for point in found))
    with canvas(out, 10, 7) as figure:
        grid = figure.subplots(len(SPLITS), 2, squeeze=False)
        for (split, title), line in zip(SPLITS.items(), grid, strict=True):
            for at, name in enumerate(names):
                own = [point for point in found if point["queries"] == split and point["system"] == name]
                for axes, key in zip(line, ("rows", "minutes"), strict=True):
                    look = {"color": COLOURS[at], "marker": MARKERS[at]}
                    axes.plot([p[key] for p in own], [p["ar"] for p in own], linestyle="", alpha=0.35, **look)
                    axes.plot(*zip(*_means(own, key), strict=True), label=name, **look)
            line[0].set(xscale="log", ylabel="Achievable Rate", title=title, ylim=(0, 1))
            line[1].set(xscale="log", title=title, ylim=(0, 1))
        grid[-1][0].set(xlabel="labelled rows (log)")
        grid[-1][1].set(xlabel="minutes of training, those of its teacher too (log)")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _data(dataset: Path, size: int, seed: int) -> tuple[TrainingSet, dict[str, Sequence[Example]]]:
    """The first rows of those that `seed` shuffles; the queries that are answered."""
    whole = read_training_set(dataset, dataset / "train.reference.jsonl")
    rows = list(whole.examples)
    if len(rows) < size:
        raise UserError(f"{dataset}: has {len(rows)} training rows, {size} are asked for; raise sizes.dataset.train")
    Random(seed).shuffle(rows)
    splits = {name: read_examples(dataset / f"{name}.jsonl", whole.pool) for name in ("dev", "dev_ood")}
    return replace(whole, examples=rows[:size], dev=splits["dev"][:DEV], seed=seed), splits


def _means(own: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """Over the seeds of each size: the mean of what stands below, and of AR."""
    sizes = list(dict.fromkeys(point["rows"] for point in own))
    every = [[point for point in own if point["rows"] == size] for size in sizes]
    return [(mean(p[key] for p in seeds), mean(p["ar"] for p in seeds)) for seeds in every]


def _table(found: Sequence[Mapping[str, Any]]) -> str:
    head = ["system", "queries", "labelled rows", "seed", "n", "minutes", "AR"]
    counts = [[number(p[key]) for key in ("rows", "seed", "n")] for p in found]
    lines = [
        [p["system"], SPLITS[p["queries"]], *of, number(p["minutes"], 1), rate(p)]
        for p, of in zip(found, counts, strict=True)
    ]
    return table(head, lines) + "\n"


if __name__ == "__main__":
    run(main)
