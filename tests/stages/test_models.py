"""The stages from base model to load test, in process, on the smoke profile's sizes."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stages import bench, evaluate, sft
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.model.flops import cost
from tests.project import TOP, bytes_of, changed, have_base, have_dataset, smoke_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a dataset, a random base model and that model fine-tuned on a few examples."""

    def change(params, profile):
        params["training"]["common"]["groups_a_step"] = 2  # a group for each of two processes
        params["training"]["sft"] |= {"dev_points": 2, "frozen": {"blocks": 0.5}}
        params["bench"]["clients"] = [1, 3]
        profile["sizes"]["sft"] = {"examples": 24, "dev_examples": 6}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("llm")
        train("sft")
        yield folder


DATA = Path("data/dataset")
TRAIN = {"base": Path("data/models/llm"), "rows": DATA / "train.reference.jsonl", "data": DATA}


def train(name):
    sft.main("sft", **TRAIN, out=Path(f"data/models/{name}"), log=Path(f"data/logs/{name}.csv"))


def test_training_learns_and_makes_the_same_bytes_twice(project):
    rows = list(csv.DictReader((project / "data/logs/sft.csv").open()))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert [row["dev_loss"] != "" for row in rows].count(True) == 2
    train("again")
    assert bytes_of(project / "data/models/again") == bytes_of(project / "data/models/sft")
    assert (project / "data/logs/again.csv").read_bytes() == (project / "data/logs/sft.csv").read_bytes()


def test_what_is_frozen_stays_and_the_rest_learns(project):
    """Of two blocks half are frozen, and the embeddings with them."""
    before, after = (load_file(f"data/models/{name}/model.safetensors") for name in ("llm", "sft"))
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {name for name in before if "embed_tokens" in name or ".layers.0." in name}


@pytest.mark.engine
def test_two_processes_train_to_the_weights_of_one(project):
    """Data parallel over gloo: the profile says processes: 2, the stage starts itself twice."""
    arguments = ["--name=sft", *(f"--{key}={value}" for key, value in TRAIN.items())]
    environment = os.environ | {"PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1"}
    with changed(Path("profiles/smoke.yaml"), lambda profile: profile["train"].update(processes=2)):
        done = subprocess.run(
            [sys.executable, "-m", "stages.sft", *arguments, "--out=data/models/two", "--log=data/logs/two.csv"],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (load_file(project / f"data/models/{name}/model.safetensors") for name in ("sft", "two"))
    for key in one:
        torch.testing.assert_close(two[key], one[key], atol=2e-4, rtol=2e-3)
    losses = [
        [float(row["loss"]) for row in csv.DictReader((project / f"data/logs/{name}.csv").open())]
        for name in ("sft", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_evaluate_cost_and_bench_agree_on_one_model(project):
    results = project / "data/results/sft"
    system = {"name": "sft", "model": Path("data/models/sft"), "encoder": Path("data/models/encoder"), "data": DATA}
    evaluate.main(**system, out=results)
    rates = json.loads((results / "rates.json").read_text())
    assert (rates["test"]["n"], rates["ood"]["n"]) == (6, 6)
    ood = [row for _, row in read_jsonl(DATA / "ood.jsonl")][:6]
    refused = sum("refusal" in row["tags"] for row in ood)
    assert rates["ood_seen"]["n"] + rates["ood_unseen"]["n"] + refused == 6
    answers = [json.loads(line) for line in (results / "answers.jsonl").read_text().splitlines()]
    assert sum(row["correct"] for row in answers[:6]) / 6 == pytest.approx(rates["test"]["ar"], abs=1e-4)

    found = cost(json.loads((results / "size.json").read_text()), rates["workload"])
    count = sum(value.numel() for value in load_file("data/models/sft/model.safetensors").values())
    assert found["parameters_m"] == pytest.approx(count / 1e6, abs=1e-3)
    assert found["weights_mb"] == pytest.approx(2 * count / 1e6, rel=0.1)
    assert 0 < found["gflops_paper"] < found["gflops_gemm"]

    bench.main(**system, answers=results / "answers.jsonl", out=results / "bench.json")
    loads = json.loads((results / "bench.json").read_text())
    assert loads["engine"] == "native"
    assert loads["machine"]["torch"] == torch.__version__
    assert all(one["errors"] == 0 for one in loads["rounds"].values())


def test_a_parameter_out_of_range_stops_before_any_work(project):
    wrong = changed(Path("params.yaml"), lambda params: params["training"]["sft"]["fit"].update(learning_rate=-1.0))
    with wrong, pytest.raises(UserError, match="learning_rate: expected more than 0"):
        train("never")
    assert not (project / "data/models/never").exists()


def test_a_missing_base_model_names_the_folder(project):
    with pytest.raises(UserError, match="nothing-here.*dvc repro"):
        sft.main("sft", **TRAIN | {"base": Path("nothing-here")}, out=Path("x"), log=Path("y"))
