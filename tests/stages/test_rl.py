"""Cold start, reinforcement learning, the teacher's own traces and KD*, in process on the smoke profile's sizes."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml

from stages import base, dataset, evaluate, rl, rl_results, thinker, thoughts, traces
from supertiny.core.errors import UserError
from supertiny.core.records import read_examples, read_functions
from supertiny.core.thought import THINKS, Source, read
from supertiny.model.checkpoint import load_config
from supertiny.rl.rewards import Level, reward
from supertiny.rl.thoughts import read_traces
from tests.project import bytes_of, smoke_project

MODELS, DATA = Path("data/models"), Path("data/dataset")
EXAMPLES = {
    "functions": DATA / "functions.json",
    "examples": DATA / "train.reference.jsonl",
    "dev": DATA / "dev.jsonl",
}
RULE = Path("data/thoughts/rule.jsonl")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    def change(params, profile):
        profile["sft"] = {"examples": 24, "dev_examples": 4}
        profile["thoughts"] |= {"rule": 20, "model": 8}
        params["rl"] |= {"prompts_a_batch": 2, "prompts_a_step": 2, "rollouts": 3, "batches": 2, "dev_points": 1}
        params["rl"] |= {"max_new_tokens": 8}

    with smoke_project(tmp_path_factory.mktemp("rl"), change) as folder:
        dataset.main(DATA)
        base.main("llm", MODELS / "llm", MODELS / "llm.json")
        thoughts.main(**EXAMPLES, out=RULE)
        thinker.main(
            MODELS / "llm", **EXAMPLES, traces=RULE, out=MODELS / "thinking", log=Path("data/logs/thinking.csv")
        )
        yield folder


def learn(name):
    rl.main(MODELS / "thinking", **EXAMPLES, out=MODELS / name, log=Path(f"data/logs/{name}.csv"))


def test_every_rule_made_thought_earns_the_whole_reward(project):
    pool = read_functions(EXAMPLES["functions"])
    found = read_traces(RULE)
    rows = [*read_examples(EXAMPLES["examples"], pool)[:20], *read_examples(EXAMPLES["dev"], pool)[:4]]
    assert list(found) == [row.id for row in rows]
    for row in rows:
        offered = {name: pool[name] for name in row.candidates}
        assert reward(found[row.id].text, row.answers, offered).level is Level.CORRECT
        assert found[row.id].source is Source.RULE


def test_a_model_that_learned_thoughts_says_so_and_is_held_to_the_format(project):
    assert getattr(load_config(MODELS / "thinking"), THINKS) is True
    assert not hasattr(load_config(MODELS / "llm"), THINKS)
    out = Path("data/results/thinking")
    evaluate.main(
        MODELS / "thinking", EXAMPLES["functions"], DATA / "test.jsonl", DATA / "ood.jsonl",
        out / "rates.json", out / "answers.jsonl", "models",
    )  # fmt: skip
    written = [json.loads(line)["written"] for line in (out / "answers.jsonl").read_text().splitlines()]
    assert all(text.startswith("<think>") for text in written)


def test_the_same_run_makes_the_same_bytes(project):
    learn("policy")
    learn("again")
    assert bytes_of(MODELS / "policy") == bytes_of(MODELS / "again")
    rows = list(csv.DictReader(Path("data/logs/policy.csv").read_text().splitlines()))
    assert [row["batch"] for row in rows] == ["1", "2"] and float(rows[0]["tokens"]) <= 8
    assert getattr(load_config(MODELS / "policy"), THINKS) is True


def test_only_right_thoughts_of_the_policy_are_kept_and_rules_fill_in(project):
    """A random model is hardly ever right."""
    out, report = Path("data/thoughts/policy.jsonl"), Path("data/results/traces.json")
    traces.main(MODELS / "thinking", **EXAMPLES, rule_made=RULE, out=out, report=report)
    found, written = json.loads(report.read_text()), read_traces(out).values()
    own = [one for one in written if one.source is Source.MODEL]
    assert found["asked"] == len(written) == 8 + 4 and found["kept"] == len(own)
    assert found["rule_made"] == len(written) - len(own)
    assert all(not isinstance(read(one.text), str) for one in written)


def test_models_and_policies_are_compared_on_the_queries_that_all_answered(project):
    """A policy was asked fewer queries than the model it came from."""
    learn("policy")
    tests = {"functions": DATA / "functions.json", "test": DATA / "test.jsonl", "ood": DATA / "ood.jsonl"}
    for name, kind in (("sft", "models"), ("policy", "policies")):
        out = Path("data/results", name)
        evaluate.main(MODELS / "thinking", **tests, out=out / "rates.json", answers=out / "answers.jsonl", asked=kind)
    report = Path("data/results/traces.json")
    traces.main(MODELS / "thinking", **EXAMPLES, rule_made=RULE, out=Path("data/thoughts/it.jsonl"), report=report)
    for name in rl_results.RUNS:
        shutil.copy("data/logs/policy.csv", f"data/logs/{name}.csv")
    params = Path("params.yaml").read_text()
    change = yaml.safe_load(params)
    change["models"] = {"sft": {"title": "start", "log": None, "asked": "models"}}
    change["policies"] = {"policy": {"title": "policy", "start": "sft"}}
    Path("params.yaml").write_text(yaml.safe_dump(change))
    gathered = {**tests, "traces": report, "out": Path("data/results/rl.json")}
    rl_results.main(Path("data/results"), Path("data/logs"), **gathered)
    found = json.loads(Path("data/results/rl.json").read_text())
    assert [found["models"][name]["test"]["n"] for name in ("sft", "policy")] == [4, 4]
    assert found["runs"]["tiny_rl"]["steps"] == 2
    change["policies"]["policy"]["start"] = "nobody"
    Path("params.yaml").write_text(yaml.safe_dump(change))
    with pytest.raises(UserError, match=r"policies.policy.start: 'nobody' is no model"):
        rl_results.main(
            Path("data/results"), Path("data/logs"), **tests, traces=report, out=Path("data/results/rl.json")
        )
    Path("params.yaml").write_text(params)
