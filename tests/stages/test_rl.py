"""Cold start, reinforcement learning, the teacher's own traces and KD*, in process on the smoke profile's sizes."""

import csv
import json
from pathlib import Path

import pytest

from stages import evaluate, rl, thinker, traces
from supertiny.core.calls import Syntax
from supertiny.core.prompt import THINKS, Source, read
from supertiny.core.records import read_examples, read_functions
from supertiny.model.checkpoint import load_config
from supertiny.rl.rewards import Level, reward
from supertiny.rl.thoughts import read_traces, trace, write_traces
from supertiny.sft.packs import read_training_set
from tests.project import bytes_of, have_base, have_dataset, smoke_project

MODELS, DATA = Path("data/models"), Path("data/dataset")
EXAMPLES = {"rows": DATA / "train.reference.jsonl", "data": DATA}
RULE = Path("data/thoughts/rule.jsonl")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    def change(params, profile):
        profile["sizes"]["sft"] = {"examples": 24, "dev_examples": 4}
        profile["sizes"]["thoughts"] |= {"rule": 20, "model": 8}
        params["rl"] |= {"prompts_a_batch": 2, "prompts_a_step": 2, "rollouts": 3, "batches": 2, "dev_points": 1}
        params["rl"] |= {"max_new_tokens": 8}

    with smoke_project(tmp_path_factory.mktemp("rl"), change) as folder:
        have_dataset()
        have_base("llm")
        data = read_training_set(DATA, EXAMPLES["rows"])
        rows = [*data.examples[:20], *data.dev]
        write_traces(RULE, [trace(row, data.pool, data.prompt.answer) for row in rows])
        made = {"out": MODELS / "thinking", "log": Path("data/logs/thinking.csv")}
        thinker.main("thinking", MODELS / "llm", RULE, **EXAMPLES, **made)
        yield folder


def learn(name):
    rl.main("teacher_rl", MODELS / "thinking", **EXAMPLES, out=MODELS / name, log=Path(f"data/logs/{name}.csv"))


def test_every_rule_made_thought_earns_the_whole_reward(project):
    pool = read_functions(DATA / "functions.json")
    found = read_traces(RULE)
    rows = [*read_examples(EXAMPLES["rows"], pool)[:20], *read_examples(DATA / "dev.jsonl", pool)[:4]]
    assert list(found) == [row.id for row in rows]
    for row in rows:
        offered = {name: pool[name] for name in row.candidates}
        assert reward(found[row.id].text, row.answers, offered, Syntax.python).level is Level.CORRECT
        assert found[row.id].source is Source.RULE


def test_a_model_that_learned_thoughts_says_so_and_is_held_to_the_format(project):
    assert getattr(load_config(MODELS / "thinking"), THINKS) is True
    assert not hasattr(load_config(MODELS / "llm"), THINKS)
    out = Path("data/results/thinking")
    evaluate.main("thinking", MODELS / "thinking", MODELS / "encoder", DATA, out)
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
