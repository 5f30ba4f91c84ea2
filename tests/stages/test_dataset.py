import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.dataset import main
from supertiny.core.calls import Function
from supertiny.core.errors import UserError
from supertiny.core.files import write_json, write_jsonl
from supertiny.core.records import read_examples, read_functions, write_functions
from tests.project import TOP

PARAMS = """
seed: 7
profile: tiny
prompt: {describe: false, history_turns: 1, answer: json, rules: [], max_pool_tokens: 2000}
dataset:
  source: home_assistant
  lists: oracle
  num_candidates: 6
  hard_share: 0.6
  ood_seen_share: 0.35
  home_assistant: {language: en, follow_up_share: 0.12, distractor_share: 0.08, nickname_share: 0.12,
    no_function_share: 0.06, missing_share: 0.3, unclear_share: 0.04, decoration_share: 0.25, test_template_share: 0.15,
    dev_template_share: 0.08, expert_template_share: 0.08, held_out_share: 0.2,
    dev_ood_functions: [unlock_door, get_date]}
  massive: {path: nowhere.jsonl, ood_scenarios: [music], dev_ood_scenarios: [alarm]}
  own: {functions: f.json, queries: q.jsonl, verdicts: null, knowledge: null}
"""
FILES = {
    "functions.json",
    "general_functions.json",
    "general.jsonl",
    "knowledge.json",
    "train.jsonl",
    "train.reference.jsonl",
    "expert.jsonl",
    "verdicts.jsonl",
    "injections.jsonl",
    "dev.jsonl",
    "dev_ood.jsonl",
    "test.jsonl",
    "ood.jsonl",
    "stats.json",
}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "tiny.yaml").write_text(
        "sizes: {dataset: {train: 300, expert: 60, dev: 40, dev_ood: 30, test: 60, ood: 60}}\n"
        "base: {llm: path:m, student: path:m, encoder: path:m, online: false}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_dataset_stage_writes_the_same_bytes_twice(project):
    main(project / "one")
    main(project / "two")
    assert {file.name for file in (project / "one").iterdir()} == FILES
    for name in FILES:
        assert (project / "one" / name).read_bytes() == (project / "two" / name).read_bytes()


def test_dataset_stage_hides_the_training_labels(project):
    main(project / "out")
    pool = read_functions(project / "out" / "functions.json")
    train = read_examples(project / "out" / "train.jsonl", pool)
    hidden = read_examples(project / "out" / "train.reference.jsonl", pool)
    assert len(train) == 300
    assert all(not row.answers for row in train) and all(row.answers for row in hidden)
    assert [row.query for row in train] == [row.query for row in hidden]
    stats = json.loads((project / "out" / "stats.json").read_text())
    assert stats["test_size"] == 60 and stats["functions"] == len(pool)
    assert stats["splits"]["ood"]["tags"]["seen"] == pytest.approx(0.35, abs=0.01)
    assert {split: stats["splits"][split]["offered"] for split in ("train", "dev_ood", "ood")} == dict.fromkeys(
        ("train", "dev_ood", "ood"), 6
    )
    assert set(stats["splits"]) == {"train", "expert", "dev", "dev_ood", "test", "ood"}


def test_without_a_source_of_general_functions_both_files_are_there_and_empty(project):
    main(project / "out")
    assert read_functions(project / "out/general_functions.json", empty=True) == {}
    assert read_examples(project / "out/general.jsonl", {}) == []


def test_general_functions_of_ones_own_stand_beside_the_task(project):
    (project / "params.yaml").write_text(PARAMS.replace("dataset:", "dataset:\n  general: path:data/own/general"))
    with pytest.raises(UserError, match=r"dataset.general: data/own/general/functions.json does not exist; put"):
        main(project / "out")
    write_functions(project / "data/own/general/functions.json", {"brew": Function("brew", "Brews")})
    write_jsonl(
        project / "data/own/general/queries.jsonl",
        [
            {"id": "a", "query": "brew some", "answers": [{"name": "brew", "arguments": {}}], "candidates": ["brew"]},
            {"id": "b", "query": "sing to me", "answers": ["No appropriate function"], "tags": ["people"]},
            {"id": "c", "query": "brew nothing"},
        ],
    )
    main(project / "out")
    pool = read_functions(project / "out/general_functions.json")
    rows = read_examples(project / "out/general.jsonl", pool)
    assert [(row.id, row.candidates, row.tags) for row in rows] == [
        ("general-a", (), ("general",)),
        ("general-b", (), ("people", "general")),
    ]


def test_dataset_stage_names_the_wrong_parameter(project):
    (project / "params.yaml").write_text(PARAMS.replace("hard_share: 0.6", "hard_share: much"))
    with pytest.raises(UserError, match="hard_share"):
        main(project / "out")
    assert not (project / "out").exists()


def stage(project):
    """`python -m stages.dataset` as dvc.yaml starts it."""
    done = subprocess.run(
        [sys.executable, "-m", "stages.dataset", "--out", "made"],
        cwd=project, env=os.environ | {"PYTHONPATH": str(TOP)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.strip()


def test_a_profile_that_was_edited_behind_resolve_stops_the_stage_before_any_work(project):
    """What DVC compares is data/machine.json: a stage that read another profile would be recorded as what it is not."""
    known = {"profile": "tiny", **yaml.safe_load((project / "profiles/tiny.yaml").read_text())}
    write_json(project / "data/machine.json", known | {"sizes": {}})
    refused = "error: data/machine.json is not what profiles/tiny.yaml says now; run `dvc repro resolve` first"
    assert stage(project) == (1, refused)
    write_json(project / "data/machine.json", known | {"profile": "cpu"})
    assert stage(project) == (1, refused)
    assert not (project / "made").exists()
    write_json(project / "data/machine.json", known)
    assert stage(project)[0] == 0
    assert (project / "made/stats.json").is_file()
