"""The judge stage in process, on the smoke profile's sizes: a random encoder, and the reference judge."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml

from benchmarks import judges
from stages import judge
from supertiny.core.calls import answer_json, answer_text
from supertiny.core.errors import UserError
from supertiny.core.files import write_jsonl
from supertiny.core.records import read_examples, read_functions
from supertiny.judge.reference import Failure
from supertiny.model.encoder import load_headed
from tests.project import have_base, have_dataset, smoke_project

DATA = Path("data/dataset")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a dataset, a random encoder, and the stage run once."""

    def change(params, profile):
        params["judge"]["classifier"] |= {"epochs": 1, "dev_points": 1}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("encoder", "llm")
        run("judge")
        yield folder


def run(name, data=DATA):
    made = {"model": f"data/models/{name}", "log": f"data/logs/{name}.csv", "out": f"data/results/{name}.json"}
    models = {role: Path(f"data/models/{role}") for role in ("llm", "encoder")}
    judge.main(**models, data=data, **{key: Path(path) for key, path in made.items()})


@pytest.fixture
def params(project):
    """Change params.yaml for one test."""
    path = project / "params.yaml"
    kept = path.read_text()

    def change(**values):
        changed = yaml.safe_load(kept)
        changed["judge"] |= values
        path.write_text(yaml.safe_dump(changed))

    yield change
    path.write_text(kept)


def test_the_stage_measures_every_judge_on_replies_it_did_not_learn(project):
    found = json.loads((project / "data/results/judge.json").read_text())
    assert (found["kind"], found["min_agreement"], list(found["judges"])) == (
        "reference", 0.93, ["reference", "classifier", "llm"],
    )  # fmt: skip
    reference, classifier, llm = found["judges"].values()
    assert llm["examples"] == 1 and 0 <= llm["unreadable"] <= llm["n"]
    assert (reference["agreement"], reference["kappa"], reference["injections"]["judged_right"]) == (1.0, 1.0, 0.0)
    assert 0 <= classifier["agreement"] < 1
    assert classifier["n"] == reference["n"] and reference["examples"] == 30
    assert classifier["by_kind"][Failure.UNPARSEABLE]["judged_right"] == 0
    rows = list(csv.DictReader((project / "data/logs/judge.csv").open()))
    assert [row["dev_loss"] != "" for row in rows].count(True) == 1
    assert load_headed(project / "data/models/judge").labels[0] == "right"


def test_the_same_bytes_twice(project):
    run("again")
    for file in sorted((project / "data/models/judge").iterdir()):
        assert (project / "data/models/again" / file.name).read_bytes() == file.read_bytes()
    for kind in ("logs/{}.csv", "results/{}.json"):
        one, two = (project / "data" / kind.format(name) for name in ("judge", "again"))
        assert one.read_bytes() == two.read_bytes()


def test_every_judge_is_asked_of_the_answers_that_all_systems_gave(project):
    """The prototype was asked one query fewer: the two that both answered are judged."""
    path, pool = project / "params.yaml", read_functions(DATA / "functions.json")
    kept, test = path.read_text(), read_examples(DATA / "test.jsonl", pool)[:3]
    systems = {kind: {"kind": kind, "model": "x", "asked": "models", "title": kind} for kind in ("model", "prototype")}
    path.write_text(yaml.safe_dump(yaml.safe_load(kept) | {"systems": systems}))
    writes = {"model": answer_text, "prototype": lambda answer: json.dumps({"answer": answer_json(answer)})}
    for kind, queries in {"model": test, "prototype": test[1:]}.items():
        told = {"correct": True, "failure": None}
        rows = [{"id": one.id, "written": writes[kind](one.answers[0]), **told} for one in queries]
        write_jsonl(project / f"answers/{kind}/answers.jsonl", rows)
    models = {role: Path(f"data/models/{role}") for role in ("llm", "judge")}
    judges.main(**models, dataset=DATA, results=Path("answers"), queries="9", out=Path("judges"))
    path.write_text(kept)
    found = json.loads(Path("judges.json").read_text())["systems"]
    assert [list(row) for row in found.values()] == [["reference", "classifier", "llm"]] * 2
    assert {one["n"] for row in found.values() for one in row.values()} == {2}
    assert found["model"] == found["prototype"], "what they answer alike is judged alike"
    assert "| prototype | 2 | 1.000 [" in Path("judges.md").read_text()
    with pytest.raises(UserError, match="--queries: expected a number"):
        judges.main(**models, dataset=DATA, results=Path("answers"), queries="few", out=Path("judges"))


def test_a_judge_below_the_gate_stops_the_pipeline_and_leaves_whole_results(project, params):
    params(kind="classifier", min_agreement=0.99)
    with pytest.raises(UserError, match=r"judge\.kind: the classifier judge.*below judge\.min_agreement 0\.99"):
        run("gated")
    found = json.loads((project / "data/results/gated.json").read_text())
    assert found["judges"] == json.loads((project / "data/results/judge.json").read_text())["judges"]
    assert load_headed(project / "data/models/gated").labels


def test_faults_stop_before_any_work(project, params):
    params(kind="llm", calibrate=["reference"])
    with pytest.raises(UserError, match="the chosen kind 'llm' must be among"):
        run("never")
    params(threshold="half")
    with pytest.raises(UserError, match="threshold"):
        run("never")
    params()
    shutil.copytree(DATA, "broken")
    Path("broken/verdicts.jsonl").write_text('{"id": "a", "example": "nobody", "reply": "", "correct": true}\n')
    with pytest.raises(UserError, match=r"verdicts\.jsonl, line 1: field 'example'.*'nobody'"):
        run("never", Path("broken"))
    assert not list((project / "data").rglob("never*"))
