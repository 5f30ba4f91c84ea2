"""The curve of rows and minutes on tiny models: every system at every size, a killed run goes on, each figure drawn."""

import csv
from pathlib import Path

import pytest

from benchmarks import curves
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from tests.project import have_base, have_dataset, smoke_project

MODELS, DATA = Path("data/models"), Path("data/dataset")
PLACES = {"model": MODELS / "llm", "encoder": MODELS / "encoder", "dataset": DATA}
SYSTEMS = ["traditional", "teacher", "student, RFT", "student, KD"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    def change(params, profile):
        params["decode"]["max_new_tokens"] = 6
        params["prompt"]["answer"] = "json"  # models that have learned nothing say no other
        for how in ("sft", "teaching"):
            params["training"][how]["dev_points"] = 1
        for part in ("domain", "all_domains", "frame"):
            params["baseline"][part] |= {"epochs": 1, "min_steps": 1}
        profile["sizes"]["dataset"] |= {"dev": 6, "dev_ood": 20}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(curves, "SIZES", (8, 16))
        patched.setattr(curves, "SEEDS", (0,))
        patched.setattr(curves, "LEAST_READ", 16)
        have_dataset()
        have_base("llm", "encoder")
        yield folder


def test_a_killed_curve_goes_on_and_has_every_system_at_every_size(project, monkeypatch):
    out, asked = Path("found/curves"), []

    def dies(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(curves, "logits", dies)
        curves.main(**PLACES, out=out)
    train = curves.train
    monkeypatch.setattr(curves, "train", lambda plan, job: (asked.append((job.out.name, plan)), train(plan, job)))
    curves.main(**PLACES, out=out)
    assert [name for name, _ in asked] == ["student, RFT", "student, KD", "teacher", "student, RFT", "student, KD"]
    assert asked[0][1].cfg.epochs == 2 * asked[3][1].cfg.epochs  # of eight rows, as many reads as of sixteen
    small, large = ({row.id for row in asked[at][1].rows.examples} for at in (0, 3))
    assert len(small) == 8 and small < large
    with out.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["system"] for row in rows] == [name for name in SYSTEMS for _ in curves.SPLITS] * 2
    found = read_json(out / "8_rows_seed_0.json")["systems"]
    assert found["student, KD"]["all_minutes"] > found["teacher"]["minutes"] + found["student, KD"]["minutes"]
    assert out.with_suffix(".svg").read_text().count("<svg") == 1
    assert "| teacher |" in out.with_suffix(".md").read_text()


def test_more_rows_than_there_are_is_an_error_before_anything_is_trained(project, monkeypatch):
    monkeypatch.setattr(curves, "SIZES", (5000,))
    with pytest.raises(UserError, match=r"has \d+ training rows, 5000 are asked for; raise sizes.dataset.train"):
        curves.main(**PLACES, out=Path("found/more"))
