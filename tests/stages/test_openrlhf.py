"""Stage rl with engine openrlhf: our data and reward through OpenRLHF's parser and reward caller, its model as ours.

The training itself is a fake's: no GPU here.
"""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml

from stages import rl, thinker
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.core.prompt import THINKS
from supertiny.engines.openrlhf.reward_file import read_label
from supertiny.model import checkpoint
from supertiny.report.steps.rl import history
from supertiny.rl.thoughts import trace, write_traces
from supertiny.sft.packs import read_training_set
from tests import openrlhf
from tests.environment import environment
from tests.fakes.openrlhf_trainer import CHANGED
from tests.project import have_base, have_dataset, smoke_project

pytestmark = pytest.mark.engine

MODELS, DATA = Path("data/models"), Path("data/dataset")
EXAMPLES = {"rows": DATA / "train.reference.jsonl", "data": DATA}
STATE = "cache/supertiny/resume"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    openrlhf.package()
    home = tmp_path_factory.mktemp("openrlhf")
    fakes = {"openrlhf.cli.train_ppo_ray": "tests.fakes.openrlhf_trainer"}
    programs = environment(home / "envs/openrlhf/bin", fakes)

    def change(params, profile):
        profile["sizes"]["sft"] = {"examples": 24, "dev_examples": 4}
        profile["engines"]["rl"] = "openrlhf"
        profile["openrlhf"] |= {"gpus": 1, "micro_batch": 2}
        profile["launch"]["programs"]["openrlhf"] = str(programs)
        params["rl"] |= {"prompts_a_batch": 8, "prompts_a_step": 4, "rollouts": 3, "batches": 3, "dev_points": 3}
        params["rl"]["frozen"] = {"embeddings": False, "blocks": 0.0, "prefix": False}

    (home / "project").mkdir()
    with smoke_project(home / "project", change) as folder, pytest.MonkeyPatch.context() as patched:
        patched.setenv("SUPERTINY_TEST_PACKAGES", str(openrlhf.package().parent))
        have_dataset()
        have_base("llm")
        data = read_training_set(DATA, EXAMPLES["rows"])
        rows = [*data.examples, *data.dev]
        write_traces(Path("rule.jsonl"), [trace(row, data.pool, data.prompt.answer) for row in rows])
        made = {"out": MODELS / "thinking", "log": Path("thinking.csv")}
        thinker.main("thinking", MODELS / "llm", Path("rule.jsonl"), **EXAMPLES, **made)
        yield folder


def learn(name="policy"):
    rl.main("teacher_rl", MODELS / "thinking", **EXAMPLES, out=MODELS / name, log=Path(f"data/logs/{name}.csv"))


def test_a_run_gives_our_model_folder_and_our_log(project):
    learn()
    assert not any((project / STATE).glob("openrlhf-*"))  # nothing is left of a run that ended
    policy, start = MODELS / "policy", MODELS / "thinking"
    assert read_json(policy / "config.json")[THINKS] is True
    assert "_name_or_path" not in read_json(policy / "config.json")
    assert (policy / "tokenizer.json").read_bytes() == (start / "tokenizer.json").read_bytes()
    made, before = (checkpoint.load_model(folder).state_dict() for folder in (policy, start))
    assert set(made[CHANGED].tolist()) == {1.5}  # the best on dev, not the last
    assert torch.equal(
        made["model.layers.0.mlp.up_proj.weight"], before["model.layers.0.mlp.up_proj.weight"].bfloat16()
    )
    rows = list(csv.DictReader(Path("data/logs/policy.csv").read_text().splitlines()))
    assert [row["batch"] for row in rows] == ["1", "2", "3"] and rows[0]["unscored"] == "0.0"
    assert {row["format"] for row in rows} == {"1.0"}
    found = history({"policy": Path("data/logs/policy.csv")})["policy"]
    assert found["steps"] == 3 and found["best"]["step"] == 1


def test_a_killed_run_goes_on_and_its_data_are_what_openrlhf_reads(project, monkeypatch):
    monkeypatch.setenv("FAKE_OPENRLHF", "die")
    with pytest.raises(UserError, match=r"(?s)openrlhf on thinking failed \(exit 1\).*out of memory") as error:
        learn("again")
    assert "Global step 1" in str(error.value)
    (state,) = (project / STATE).glob("openrlhf-again-*")
    rows = [json.loads(line) for line in (state / "prompts.jsonl").read_text().splitlines()]
    assert len(rows) == 3 * 8 and len((state / "dev.jsonl").read_text().splitlines()) == 4
    assert all(row["prompt"].endswith("Answer:") and read_label(row["label"]) for row in rows)
    learn("again")  # from step 1: the fake dies at the first step of a run from nothing alone
    rows = list(csv.DictReader(Path("data/logs/again.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["1", "2", "3"]


def test_what_openrlhf_cannot_do_is_refused_before_anything_is_written(project):
    text = Path("params.yaml").read_text()
    changed = yaml.safe_load(text)
    changed["rl"]["frozen"]["embeddings"] = True
    Path("params.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(UserError, match=r"rl\.frozen: engine openrlhf trains every weight"):
        learn("refused")
    Path("params.yaml").write_text(text)
    assert not any((project / STATE).glob("openrlhf-refused-*"))
