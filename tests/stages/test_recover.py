"""General recovery in process: the teacher's correction, then a student that learns from it."""

import csv
import shutil
from pathlib import Path

import pytest

from stages import base, correct, recover
from supertiny.core.errors import UserError
from tests.house import ROOT
from tests.project import bytes_of, smoke_project

TEXTS = Path("data/general/instructions.jsonl")
MODELS = Path("data/models")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a corrected teacher and a random student of its tokenizer."""

    def change(params, profile):
        params["general"] |= {"epochs": 1, "dev_points": 2, "groups_a_step": 1}
        params["general"]["fit"] |= {"learning_rate": 3e-3}
        profile["general"] = {"examples": 80, "dev_examples": 4}
        profile["models"]["student"] = profile["models"]["llm"].replace("num_hidden_layers=2", "num_hidden_layers=1")

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        TEXTS.parent.mkdir(parents=True)
        shutil.copy(ROOT / TEXTS, TEXTS)
        for role in ("llm", "student"):
            base.main(role, MODELS / role, MODELS / f"{role}.json")
        correct.main(MODELS / "llm", TEXTS, MODELS / "general", Path("data/logs/general.csv"))
        yield folder


def run(name):
    recover.main(MODELS / "student", MODELS / "general", TEXTS, MODELS / name, Path(f"data/logs/{name}.csv"))


def curve(name):
    return list(csv.DictReader(Path(f"data/logs/{name}.csv").read_text().splitlines()))


def test_the_teacher_is_corrected_on_the_texts(project):
    rows = curve("general")
    assert len(rows) == 10 and float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[9]["dev_loss"]) < float(rows[4]["dev_loss"])


def test_a_student_recovers_and_twice_to_the_same_bytes(project):
    run("recovered")
    run("again")
    assert bytes_of(MODELS / "recovered") == bytes_of(MODELS / "again")
    rows = curve("recovered")
    assert len(rows) == 10 and float(rows[-1]["loss"]) < float(rows[0]["loss"]) / 2
    assert [row["dev_loss"] != "" for row in rows].count(True) == 2


def test_a_broken_line_stops_before_any_work(project):
    kept = TEXTS.read_text()
    TEXTS.write_text(kept.replace('"answer"', '"reply"', 1))
    try:
        with pytest.raises(UserError, match=r"instructions\.jsonl, line 1: field 'reply' is not known"):
            run("never")
    finally:
        TEXTS.write_text(kept)
    assert not (MODELS / "never").exists()
