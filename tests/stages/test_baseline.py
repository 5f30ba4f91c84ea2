"""The traditional system's stages, in process, on the smoke profile's sizes."""

import csv
import json
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
from safetensors.torch import load_file

from stages import baseline, bench, evaluate
from supertiny.baseline.frames import report
from supertiny.baseline.parts import DOMAIN, frame_folders, read_domains
from supertiny.baseline.system import Traditional
from supertiny.core.calls import Refusal
from supertiny.core.errors import UserError
from supertiny.core.records import read_examples, read_functions
from supertiny.measure.size import cascade_size
from supertiny.model import train as fit
from supertiny.model.flops import cost
from tests.project import bytes_of, have_base, have_dataset, smoke_project

DATA, MODEL, RESULTS = Path("data/dataset"), Path("data/models/baseline"), Path("data/results/baseline")
ENCODER = Path("data/models/encoder")
TRAIN = {"encoder": ENCODER, "rows": DATA / "train.reference.jsonl", "data": DATA}
SYSTEM = {"name": "baseline", "model": MODEL, "encoder": ENCODER, "data": DATA}


def train(name):
    baseline.main(**TRAIN, out=Path(f"data/models/{name}"), log=Path(f"data/logs/{name}.csv"))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a dataset, a random encoder and the traditional system trained on a few examples."""

    def change(params, profile):
        for part in ("domain", "all_domains", "frame"):
            params["baseline"][part] |= {"epochs": 2, "min_steps": 6}
        params["bench"]["clients"] = [1, 3]

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("encoder")
        train("baseline")
        yield folder


def curves():
    """The loss curve of each part, in the order trained."""
    with Path("data/logs/baseline.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == [str(step) for step in range(1, len(rows) + 1)]
    found = {}
    for row in rows:
        found.setdefault(row["part"], []).append(row)
    return found


def test_every_part_learns_and_logs_its_dev_loss_after_every_epoch(project):
    found = curves()
    known = read_domains(MODEL)
    own = [domain.encoder for domain in known.values() if domain.encoder]
    assert list(found) == ["domain", "frame", *own]
    assert not (MODEL / "frame").exists(), "the model they begin as answers nothing"
    assert len(found) > 3
    for curve in found.values():
        losses = [float(row["loss"]) for row in curve]
        half = len(losses) // 2
        assert len(losses) >= 6 and sum(losses[half:]) < sum(losses[:half])
    dev = [float(row["dev_loss"]) for row in found["domain"] if row["dev_loss"]]
    assert len(dev) == 2 and dev[1] < dev[0] and found["domain"][-1]["dev_loss"]


@pytest.mark.parametrize("steps_done", [4, 40])
def test_a_killed_run_goes_on_to_the_same_bytes(project, steps_done):
    """Killed within the first part, or after it, when what is done is not done again."""
    step = fit._Trainer._step
    done = []

    def killed(self, number, total):
        done.append(number)
        if len(done) > steps_done:
            raise KeyboardInterrupt
        return step(self, number, total)

    path = project / "profiles/smoke.yaml"
    kept = path.read_text()
    path.write_text(kept.replace("save_minutes: 5.0", "save_minutes: 0.000001"))
    try:
        with patch.object(fit._Trainer, "_step", killed), pytest.raises(KeyboardInterrupt):
            train("again")
        assert not Path("data/models/again").exists()
        at_kill = done.pop()
        done.clear()
        with patch.object(fit._Trainer, "_step", lambda self, *at: done.append(at[0]) or step(self, *at)):
            train("again")
    finally:
        path.write_text(kept)
    assert done[0] == at_kill and len(done) == sum(map(len, curves().values())) - steps_done
    assert bytes_of(project / "data/models/again") == bytes_of(project / "data/models/baseline")
    assert Path("data/logs/again.csv").read_bytes() == Path("data/logs/baseline.csv").read_bytes()
    shutil.rmtree("data/models/again")


def test_results_cost_and_bench_agree_on_the_system(project):
    evaluate.main(**SYSTEM, out=RESULTS)
    rates, size = (json.loads((RESULTS / f"{name}.json").read_text()) for name in ("rates", "size"))
    answers = [json.loads(line) for line in (RESULTS / "answers.jsonl").read_text().splitlines()]
    asked = sum(rates[split]["n"] for split in ("test", "ood", "without_knowledge", "grown"))
    assert (rates["test"]["n"], rates["ood"]["n"], len(answers)) == (6, 6, asked)
    assert sum(row["correct"] for row in answers[:6]) / 6 == pytest.approx(rates["test"]["ar"], abs=1e-4)
    assert 1 <= rates["workload"]["encoder_passes"] <= 2 and rates["workload"]["new_tokens"] == 0

    found = cost(size, rates["workload"])
    count = sum(value.numel() for file in MODEL.rglob("*.safetensors") for value in load_file(file).values())
    assert found["parameters_m"] == pytest.approx(count / 1e6, abs=1e-3)
    assert found["weights_mb"] == pytest.approx(2 * count / 1e6, rel=0.1)
    assert 0 <= found["gflops_paper"] <= found["gflops_gemm"]
    one_domain = cost(cascade_size([[MODEL / DOMAIN], frame_folders(MODEL)[:1]]), rates["workload"])
    assert one_domain["gflops_gemm"] == found["gflops_gemm"] and one_domain["parameters_m"] < found["parameters_m"]

    bench.main(**SYSTEM, answers=RESULTS / "answers.jsonl", out=RESULTS / "bench.json")
    rounds = json.loads((RESULTS / "bench.json").read_text())["rounds"]
    assert list(rounds) == ["cc1", "cc3"]
    assert all(one["errors"] == 0 == one["differing"] for one in rounds.values())


def test_every_labelled_answer_that_was_asked_comes_back_from_its_frame(project):
    pool = read_functions(DATA / "functions.json")
    asked = [row for name in ("test", "ood") for row in read_examples(DATA / f"{name}.jsonl", pool)[:6]]
    adapter = report(pool, [answer for row in asked for answer in row.answers])
    assert adapter["losses"] == [] and adapter["come_back"] == adapter["answers"] > 0


def test_what_is_not_offered_is_refused(project):
    pool = read_functions(DATA / "functions.json")
    rows = read_examples(DATA / "test.jsonl", pool)
    for row, one in zip(rows, Traditional(MODEL, pool, 1).answer(rows), strict=True):
        assert one.frame.intent in row.candidates or one.reply in list(Refusal)
        assert one.passes in (1, 2) and one.num_tokens > 0


def test_answers_do_not_depend_on_what_is_asked_beside_them(project):
    """Queries are grouped by domain and computed together; each answer is that of the query alone."""
    pool = read_functions(DATA / "functions.json")
    rows = read_examples(DATA / "test.jsonl", pool)[:20]
    system = Traditional(MODEL, pool, 1)
    together = system.answer(rows)
    assert len({one.frame.domain for one in together}) > 1
    assert [one.frame for one in together] == [system.answer([row])[0].frame for row in rows]
    assert system.answer([]) == []


def test_a_missing_model_names_its_folder(project):
    with pytest.raises(UserError, match=r"nothing-here.*dvc repro"):
        evaluate.main(**SYSTEM | {"model": Path("nothing-here")}, out=RESULTS)
