"""General recovery in process: the teacher's correction, then a student that learns from it."""

import csv
import shutil
from pathlib import Path

import pytest

from stages import recover, sft
from supertiny.core.errors import UserError
from tests.house import ROOT
from tests.project import bytes_of, have_base, smoke_project

TEXTS = Path("data/general/instructions.jsonl")
MODELS = Path("data/models")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a corrected teacher and a random student of its tokenizer."""

    def change(params, profile):
        params["training"]["general"] |= {
            "epochs": 1,
            "dev_points": 2,
            "groups_a_step": 1,
            "fit": {"learning_rate": 3e-3},
        }
        profile["sizes"]["general"] = {"examples": 80, "dev_examples": 4}
        profile["base"]["student"] = profile["base"]["llm"].replace("num_hidden_layers=2", "num_hidden_layers=1")

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        TEXTS.parent.mkdir(parents=True)
        shutil.copy(ROOT / TEXTS, TEXTS)
        have_base("llm", "student")
        teacher = {"out": MODELS / "general_teacher", "log": Path("data/logs/general_teacher.csv")}
        sft.main("general_teacher", MODELS / "llm", TEXTS, Path("data/dataset"), **teacher)
        yield folder


def run(name):
    paths = {"out": MODELS / name, "log": Path(f"data/logs/{name}.csv")}
    recover.main("p20_general", MODELS / "student", MODELS / "general_teacher", TEXTS, **paths)


def curve(name):
    return list(csv.DictReader(Path(f"data/logs/{name}.csv").read_text().splitlines()))


def test_the_teacher_is_corrected_on_the_texts(project):
    rows = curve("general_teacher")
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
