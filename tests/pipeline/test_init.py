"""`supertiny init` as a user types it, then the first stages of the new project by the real dvc command line."""

import json
import os
import shutil
from pathlib import Path

import pytest

from .conftest import ROOT, SHORT, Checkout, ran

pytestmark = [pytest.mark.pipeline, pytest.mark.graph, pytest.mark.xdist_group("init")]

FIRST = {"resolve", "dataset", "base", "prototype", "judge", "rft"}
"""stages up to the training set"""
SCENARIOS = ("alarm", "calendar", "email", "music", "audio", "cooking", "takeaway", "transport", "news")


def found_massive() -> Path | None:
    """MASSIVE's en-US.jsonl: $SUPERTINY_MASSIVE, or where `dataset.source: massive` looks for it."""
    path = Path(os.environ.get("SUPERTINY_MASSIVE") or ROOT / "data/massive/en-US.jsonl")
    return path if path.is_file() else None


def made(folder: Path) -> Path:
    """Utterances in MASSIVE's format: 18 intents, 20 sentences each."""
    verbs, things = ("set", "query"), ("five am", "noon", "my trip", "the rain")
    lines = [
        {"id": f"{s}{v}{n}", "partition": ("train", "dev", "test")[n % 3], "scenario": scenario,
         "intent": f"{scenario}_{verb}", "utt": f"{verb} the {scenario} number{n} for {things[n % 4]}",
         "annot_utt": f"{verb} the {scenario} number{n} for [thing : {things[n % 4]}]"}
        for s, scenario in enumerate(SCENARIOS) for v, verb in enumerate(verbs) for n in range(20)
    ]  # fmt: skip
    (folder / "en-US.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder / "en-US.jsonl"


@pytest.fixture(params=["made", "massive"])
def project(request, tmp_path, environment) -> Checkout:
    """A new project of MASSIVE's utterances, or of some in their format, short enough for a test."""
    source = made(tmp_path) if request.param == "made" else found_massive()
    if source is None:
        pytest.skip("MASSIVE is not here: set SUPERTINY_MASSIVE to its en-US.jsonl")
    here = Checkout(tmp_path / "here", environment | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])})
    here.path.mkdir()
    shutil.copy(source, here.path / "en-US.jsonl")
    shutil.copy(ROOT / "params.yaml", here.path)
    here.documented("python -m tests.massive --source en-US.jsonl --out files")
    user = Checkout(here.path / "files", here.env)
    said = user.documented("supertiny init ../voice --functions tools.json --queries queries.jsonl", "--profile smoke")
    splits = "train 300 of at most 300" if request.param == "massive" else "train"
    assert f"ok       splits: {splits}" in said
    checkout = Checkout(here.path / "voice", environment)
    short = {name.replace(".", "__"): value for name, value in SHORT.items() if name != "profile"}
    checkout.set("params.yaml", **short)
    checkout.commit()
    return checkout


def test_a_new_project_runs_to_its_training_set_and_no_further_the_second_time(project):
    assert set(ran(project.dvc("repro", "rft"))) == FIRST
    learned = [json.loads(line) for line in (project.path / "data/rft/train.jsonl").read_text().splitlines()]
    names = {tool["function"]["name"] for tool in json.loads((project.path / "data/own/functions.json").read_text())}
    assert learned and {row["answers"][0]["name"] for row in learned} <= names
    new = {"data/code/", "data/machine.json", "dvc.lock"}
    assert set(project.run("git", "status", "--porcelain").split()) - {"??"} == new, "git ignores what dvc keeps"
    project.commit()
    assert ran(project.dvc("repro", "rft")) == []
    said = project.dvc("exp", "run", "--temp", "-S", "dataset.num_candidates=2", "dataset")
    assert ran(said) == ["resolve", "dataset"], "an experiment elsewhere has the files too"
    doctor = Checkout(project.path, project.env | {"PYTHONPATH": str(project.path / "src")})
    assert "ok       dvc cache" in doctor.documented("supertiny doctor")
    project.run("git", "rm", "--quiet", "--cached", "data/own/queries.jsonl")
    project.documented("dvc add data/own/queries.jsonl")
    assert (project.path / "data/own/queries.jsonl.dvc").is_file()
    assert "queries.jsonl" in (project.path / "data/own/.gitignore").read_text()
