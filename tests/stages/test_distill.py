"""From a teacher to its student in process: logits once, students by answers and by logits, how far they are."""

import csv
import json
from pathlib import Path

import pytest

from stages import base, dataset, distance, distill, logits, sft, student, student_rft
from supertiny.core.errors import UserError
from supertiny.engines.native import logits as engine
from tests.project import bytes_of, smoke_project

DATA = Path("data/dataset")
MODELS = Path("data/models")
LEARNING = {
    "functions": DATA / "functions.json",
    "examples": DATA / "train.reference.jsonl",
    "dev": DATA / "dev.jsonl",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a fine-tuned teacher, its logits, and a student that is half of its base."""

    def change(params, profile):
        params["sft"]["dev_points"] = params["teaching"]["dev_points"] = 2
        params["sft"]["fit"]["learning_rate"] = params["teaching"]["fit"]["learning_rate"] = 3e-3
        params["teaching"]["epochs"] = 2
        params["pack"] = {"group_size": 3, "function_dropout": 0.3, "renaming": 0.3}
        profile["sft"] = {"examples": 24, "dev_examples": 6}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        dataset.main(DATA)
        for role in ("llm", "student"):
            base.main(role, MODELS / role, MODELS / f"{role}.json")
        sft.main(**LEARNING, base=MODELS / "llm", out=MODELS / "sft", log=Path("data/logs/sft.csv"))
        logits.main(**LEARNING, teacher=MODELS / "sft", out=Path("data/logits"), report=Path("data/logits.json"))
        student.main("tiny", MODELS / "student", **LEARNING, queries=DATA / "train.jsonl", out=MODELS / "tiny")
        yield folder


def teach(out, logits=Path("data/logits"), **data):
    paths = {"student": MODELS / "tiny", "logits": logits, "out": MODELS / out, "log": Path(f"data/logs/{out}.csv")}
    distill.main(**(LEARNING | paths | data))


def test_a_student_comes_nearer_to_its_teacher_and_twice_to_the_same_bytes(project):
    student_rft.main(**LEARNING, base=MODELS / "tiny", out=MODELS / "rft", log=Path("data/logs/rft.csv"))
    teach("kd")
    teach("again")
    assert bytes_of(Path("data/models/kd")) == bytes_of(Path("data/models/again"))
    curve = list(csv.DictReader(Path("data/logs/kd.csv").read_text().splitlines()))
    assert float(curve[-1]["loss"]) < float(curve[0]["loss"])
    folders = {"before": MODELS / "tiny", "rft": MODELS / "rft", "kd": MODELS / "kd"}
    said = {"logits": Path("data/logits"), "out": Path("data/results/distance.json")}
    distance.main(**folders, **said, **LEARNING)
    models = json.loads(Path("data/results/distance.json").read_text())["models"]
    assert models["kd"]["fkl_nats"] < models["before"]["fkl_nats"]
    assert models["rft"]["fkl_nats"] < models["before"]["fkl_nats"]
    for one in models.values():
        assert sum(one["alpha_histogram"]) == one["tokens"] == sum(s["tokens"] for s in one["slots"].values())


def test_the_teacher_is_asked_once_whoever_asks(project, monkeypatch):
    before = bytes_of(Path("data/logits"))
    monkeypatch.setattr(engine.checkpoint, "load_model", lambda *_: pytest.fail("the teacher was loaded again"))
    logits.main(**LEARNING, teacher=MODELS / "sft", out=Path("data/again"), report=Path("data/again.json"))
    assert bytes_of(Path("data/again")) == before
    assert Path("data/again.json").read_text() == Path("data/logits.json").read_text()


def test_a_killed_pass_over_the_teacher_ends_with_the_same_bytes(project, monkeypatch, tmp_path):
    before = bytes_of(Path("data/logits"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    forward, passes = engine.ResponseLogits.hidden, []

    def dies(self, batch):
        passes.append(batch)
        if len(passes) == 2:
            raise KeyboardInterrupt
        return forward(self, batch)

    profile = Path("profiles/smoke.yaml")
    kept = profile.read_text()
    small = kept.replace("max_tokens: 4096", "max_tokens: 512").replace("shard_tokens: 500", "shard_tokens: 40")
    profile.write_text(small)
    try:
        monkeypatch.setattr(engine.ResponseLogits, "hidden", dies)
        paths = {"teacher": MODELS / "sft", "out": Path("data/killed"), "report": Path("data/killed.json")}
        with pytest.raises(KeyboardInterrupt):
            logits.main(**LEARNING, **paths)
        assert not Path("data/killed").exists()
        logits.main(**LEARNING, **paths)
        total = len(passes)
        logits.main(**LEARNING, **paths)
        assert len(passes) == total > 2
    finally:
        profile.write_text(kept)
    logits.main(**LEARNING, **paths)
    assert set(bytes_of(Path("data/killed"))) == set(before)


def test_logits_of_other_examples_are_refused_before_a_step(project):
    with pytest.raises(UserError, match="rerun the stage that stores the teacher's logits"):
        teach("other", examples=DATA / "expert.jsonl")
    assert not (MODELS / "other").exists()


def test_a_flipped_bit_in_the_cache_is_refused_by_name(project, tmp_path):
    broken = tmp_path / "logits"
    broken.mkdir()
    for name, content in bytes_of(Path("data/logits")).items():
        flipped = bytearray(content)
        if name.endswith(".bin"):
            flipped[len(flipped) // 2] ^= 1
        (broken / name).write_bytes(flipped)
    with pytest.raises(UserError, match=r"shard-00000\.bin"):
        teach("broken", logits=broken)
