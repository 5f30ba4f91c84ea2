"""The traditional system's stages, in process, on the smoke profile's sizes."""

import csv
import json
from pathlib import Path
from unittest.mock import patch

import pytest
from safetensors.torch import load_file

from stages import base, baseline, baseline_bench, baseline_results, dataset
from supertiny.baseline.answer import System
from supertiny.core.calls import Refusal
from supertiny.core.errors import UserError
from supertiny.core.records import read_examples, read_functions
from supertiny.model import fit
from tests.project import smoke_project

DATA, MODEL, RESULTS = Path("data/dataset"), Path("data/models/baseline"), Path("data/results/baseline")
READ = {"functions": DATA / "functions.json"}
ASKED = READ | {"model": MODEL, "test": DATA / "test.jsonl"}
TRAIN = READ | {
    "encoder": Path("data/models/encoder"), "examples": DATA / "train.reference.jsonl", "dev": DATA / "dev.jsonl",
}  # fmt: skip


def train(name):
    baseline.main(**TRAIN, out=Path(f"data/models/{name}"), log=Path(f"data/logs/{name}.csv"))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a dataset, a random encoder and the traditional system trained on a few examples."""

    def change(params, profile):
        for part in ("domain", "frame"):
            params["baseline"][part]["epochs"] = 2
        params["bench"]["clients"] = [1, 3]

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        dataset.main(DATA)
        base.main("encoder", Path("data/models/encoder"), Path("data/models/encoder.json"))
        train("baseline")
        yield folder


def bytes_of(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_training_learns_and_logs_the_dev_accuracy_of_every_epoch(project):
    rows = list(csv.DictReader((project / "data/logs/baseline.csv").open()))
    assert [row["step"] for row in rows] == [str(step) for step in range(1, len(rows) + 1)]
    for part in ("domain", "frame"):
        curve = [row for row in rows if row["part"] == part]
        losses = [float(row["loss"]) for row in curve]  # of whole frames, so a step of long texts has more
        half = len(losses) // 2
        assert sum(losses[half:]) < sum(losses[:half])
        assert [0 <= float(row["dev_accuracy"]) <= 1 for row in curve if row["dev_accuracy"]] == [True, True]
        assert curve[-1]["dev_accuracy"]


def test_a_killed_run_goes_on_to_the_same_bytes(project):
    step = fit._Trainer._step
    done = []

    def killed(self, number, total):
        done.append(number)
        if len(done) == 5:
            raise KeyboardInterrupt
        return step(self, number, total)

    path = project / "profiles/smoke.yaml"
    kept = path.read_text()
    path.write_text(kept.replace("save_minutes: 5.0", "save_minutes: 0.000001"))
    try:
        with patch.object(fit._Trainer, "_step", killed), pytest.raises(KeyboardInterrupt):
            train("again")
        assert not Path("data/models/again").exists()
        done.clear()
        with patch.object(fit._Trainer, "_step", lambda self, *at: done.append(at[0]) or step(self, *at)):
            train("again")
    finally:
        path.write_text(kept)
    assert done[0] == 4
    assert bytes_of(project / "data/models/again") == bytes_of(project / "data/models/baseline")
    assert Path("data/logs/again.csv").read_bytes() == Path("data/logs/baseline.csv").read_bytes()


def test_results_cost_and_bench_agree_on_the_system(project):
    baseline_results.main(**ASKED, ood=DATA / "ood.jsonl", out=RESULTS)
    rates, cost, adapter = (json.loads((RESULTS / f"{name}.json").read_text()) for name in ("rates", "cost", "adapter"))
    answers = [json.loads(line) for line in (RESULTS / "answers.jsonl").read_text().splitlines()]
    assert (rates["test"]["n"], rates["ood"]["n"], len(answers)) == (6, 6, 12)
    assert sum(row["correct"] for row in answers[:6]) / 6 == pytest.approx(rates["test"]["ar"], abs=1e-4)
    assert 1 <= rates["workload"]["encoder_passes"] <= 2 and rates["workload"]["new_tokens"] == 0
    assert adapter["losses"] == [] and adapter["come_back"] == adapter["answers"] > 0

    count = sum(value.numel() for file in MODEL.rglob("*.safetensors") for value in load_file(file).values())
    assert cost["parameters_m"] == pytest.approx(count / 1e6, abs=1e-3)
    assert cost["weights_mb"] == pytest.approx(4 * count / 1e6, rel=0.1)
    assert 0 <= cost["gflops_paper"] <= cost["gflops_gemm"]

    baseline_bench.main(**ASKED, answers=RESULTS / "answers.jsonl", out=RESULTS / "bench.json")
    rounds = json.loads((RESULTS / "bench.json").read_text())["rounds"]
    assert list(rounds) == ["cc1", "cc3"]
    assert all(one["errors"] == 0 == one["differing"] for one in rounds.values())


def test_what_is_not_offered_is_refused(project):
    pool = read_functions(READ["functions"])
    rows = read_examples(DATA / "test.jsonl", pool)
    for row, one in zip(rows, System(MODEL, pool, 1).answer(rows), strict=True):
        assert one.frame.intent in row.candidates or one.reply in list(Refusal)
        assert one.passes in (1, 2) and one.num_tokens > 0


def test_a_missing_model_names_its_folder(project):
    with pytest.raises(UserError, match=r"nothing-here.*dvc repro"):
        baseline_results.main(**ASKED | {"model": Path("nothing-here")}, ood=DATA / "ood.jsonl", out=RESULTS)
