"""`prompt.answer: python` from the data to the deployment folder, in process, on the smoke profile's sizes."""

import csv
import json
import subprocess
from pathlib import Path

import pytest

from stages import dataset, distance, distill, evaluate, logits, rl, sft, shrink, thinker, traces
from supertiny.commands import ask, export
from supertiny.core.calls import Call, Malformed, Refusal, Syntax, parse_reply
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, read_jsonl
from supertiny.core.prompt import ANSWER, THINKS, read
from supertiny.core.records import read_functions
from supertiny.measure.evaluate import SplitSizes, read_splits
from supertiny.model.checkpoint import load_tokenizer
from supertiny.rl.rewards import Level, reward
from supertiny.rl.thoughts import read_traces, rule_made, write_traces
from supertiny.sft.packs import read_training_set
from tests.project import changed, have_base, have_dataset, smoke_project

MODELS, DATA, RULE = Path("data/models"), Path("data/dataset"), Path("data/thoughts/rule.jsonl")
LEARNING = {"rows": DATA / "train.reference.jsonl", "data": DATA}


def logged(name):
    return {"out": MODELS / name, "log": Path(f"data/logs/{name}.csv")}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A teacher that learned calls as Python writes them, and a model that learned thoughts before them."""

    def change(params, profile):
        params["prompt"] |= {"answer": "python"}
        params["pack"]["whole"] = 1.0  # so that what is learned speaks of the pool's own functions
        params["decode"]["max_new_tokens"] = 150
        params["training"]["sft"] |= {"epochs": 8, "frozen": {"blocks": 0.0}, "fit": {"learning_rate": 3e-3}}
        params["trained"]["shrink"] = {"tiny": {"base": "sft", "blocks": 0.5}}
        profile["sizes"]["sft"] = {"examples": 24, "dev_examples": 4}
        profile["sizes"]["thoughts"] |= {"rule": 20, "model": 4}
        params["rl"] |= {"prompts_a_batch": 2, "prompts_a_step": 2, "rollouts": 3, "batches": 1, "dev_points": 1}
        params["rl"] |= {"max_new_tokens": 8}

    with smoke_project(tmp_path_factory.mktemp("python"), change) as folder:
        have_dataset()
        have_base("llm", "encoder")
        sft.main("sft", MODELS / "llm", **LEARNING, **logged("sft"))
        data = read_training_set(DATA, LEARNING["rows"])
        rows = [*data.examples[:20], *data.dev]
        write_traces(RULE, rule_made(rows, data.pool, data.prompt.answer))
        thinker.main("thinking", MODELS / "sft", RULE, **LEARNING, **logged("thinking"))
        yield folder


def test_what_is_learned_is_calls_as_python_writes_them(project):
    data, tokenizer = read_training_set(DATA, LEARNING["rows"]), load_tokenizer(MODELS / "llm")
    by_id = {row.id: row for row in data.examples}
    texts = [tokenizer.decode(one.response[:-1]) for pack in data.packs(tokenizer) for one in pack.branches]
    assert len(texts) == len(by_id) and all(text.startswith(" ") for text in texts)
    found = [parse_reply(text, data.pool, Syntax.python) for text in texts]
    assert not any(isinstance(one, Malformed) and one.call is None for one in found), "renamed ones are read too"
    assert any(isinstance(one, Call) for one in found) and any("=" in text for text in texts)


def test_a_model_says_how_it_answers_and_is_asked_held_and_read_so(project):
    config = read_json(MODELS / "sft/config.json")
    assert config[ANSWER] == "python" and THINKS not in config and ANSWER not in read_json(MODELS / "llm/config.json")
    evaluate.main("sft", MODELS / "sft", MODELS / "encoder", DATA, Path("data/results/sft"))
    pool, sizes = read_functions(DATA / "functions.json"), SplitSizes(test=0, ood=0)
    splits = read_splits(DATA / "test.jsonl", DATA / "ood.jsonl", pool, sizes)
    known = {row.id: row for rows in splits.values() for row in rows}
    rows = [row for _, row in read_jsonl(Path("data/results/sft/answers.jsonl"))]
    read_back = []
    for row in rows:
        offered = {name: pool[name] for name in known[row["id"]].candidates}
        reply = parse_reply(row["written"], offered, Syntax.python)
        read_back.append(isinstance(reply, Call | Refusal))
        assert not row["written"].startswith("{") and read_back[-1] == (row["fault"] is None)
    assert any(read_back), "a random model ends some of its answers"


def test_a_student_learns_from_logits_and_the_slots_of_its_distance_are_told(project):
    logits.main(**LEARNING, teacher=MODELS / "sft", out=Path("data/logits"), report=Path("data/results/logits.json"))
    paths = {"texts": Path("data/general/instructions.jsonl"), "search": Path("data/results/tiny/search.json")}
    shrink.main("tiny", MODELS / "sft", **LEARNING, **paths, out=MODELS / "tiny")
    distill.main("tiny_kd", MODELS / "tiny", Path("data/logits"), **LEARNING, **logged("kd"))
    assert read_json(MODELS / "kd/config.json")[ANSWER] == "python"
    folders = {"before": MODELS / "tiny", "rft": MODELS / "tiny", "kd": MODELS / "kd"}
    distance.main(**folders, logits=Path("data/logits"), out=Path("data/results/distance.json"), **LEARNING)
    for one in read_json(Path("data/results/distance.json"))["models"].values():
        assert one["tokens"] == sum(slot["tokens"] for slot in one["slots"].values())
        assert {"function name", "parameter names", "values", "syntax", "end"} <= set(one["slots"])


def test_thoughts_rewards_and_traces_are_of_the_same_syntax(project):
    config = read_json(MODELS / "thinking/config.json")
    assert config[ANSWER] == "python" and config[THINKS] is True
    data = read_training_set(DATA, LEARNING["rows"])
    rule = read_traces(RULE)
    for row in data.examples[:20]:
        offered = {name: data.pool[name] for name in row.candidates}
        assert reward(rule[row.id].text, row.answers, offered, Syntax.python).level is Level.CORRECT
    evaluate.main("thinking", MODELS / "thinking", MODELS / "encoder", DATA, Path("data/results/thinking"))
    written = [row["written"] for _, row in read_jsonl(Path("data/results/thinking/answers.jsonl"))]
    ended = [read(text).answer for text in written if text.endswith("</answer>")]
    assert all(text.startswith("<think>") for text in written) and not any("{" in answer[:1] for answer in ended)
    rl.main("teacher_rl", MODELS / "thinking", **LEARNING, **logged("policy"))
    (step,) = csv.DictReader(Path("data/logs/policy.csv").read_text().splitlines())
    assert float(step["reward"]) <= 3 and read_json(MODELS / "policy/config.json")[ANSWER] == "python"
    found = {"out": Path("data/thoughts/policy.jsonl"), "report": Path("data/results/traces.json")}
    traces.main(MODELS / "thinking", **LEARNING, rule_made=RULE, **found)
    assert all(one.answer == rule[name].answer for name, one in read_traces(found["out"]).items() if name in rule)


def test_the_folder_to_deploy_says_so_and_parameters_that_do_not_agree_are_refused(project, tmp_path):
    for command in (["init", "--quiet"], ["add", "params.yaml"], ["commit", "--quiet", "-m", "made"]):
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *who, *command], check=True)
    Path("dvc.lock").write_text("schema: '2.0'\n")
    with pytest.raises(UserError, match="--engine: .*SGLang has no parser of such calls; export for vllm"):
        export.main("sft", tmp_path / "sglang", engine="sglang")
    assert not (tmp_path / "sglang").exists()
    out = tmp_path / "deploy"
    export.main("sft", out)
    assert read_json(out / "card.json")["answer"] == "python" == read_json(out / "models/sft/config.json")[ANSWER]
    assert "--tool-call-parser olmo3" in (out / "README.md").read_text()
    assert "answer: python" in (out / "params.yaml").read_text()
    said = "data/models/sft writes calls in python, but params.yaml has prompt.answer: json; set that back, or .*dvc"
    with changed(Path("params.yaml"), lambda params: params["prompt"].update(answer="json")):
        with pytest.raises(UserError, match=said):
            export.main("sft", tmp_path / "other")
        with pytest.raises(UserError, match=said):
            ask.main("turn on the lights", model="sft", by="embedding")


def test_one_query_goes_its_way_on_the_terminal(project, capsys):
    ask.main("turn on the lights", room="kitchen", model="sft", by="embedding")
    assert "call" in capsys.readouterr().out.splitlines()


def test_functions_that_such_a_call_cannot_name_stop_the_first_stage(project, tmp_path):
    own = Path("data/own")
    own.mkdir(parents=True, exist_ok=True)
    schema = {"type": "object", "properties": {"how many": {"type": "integer"}}}
    function = {"name": "brew", "description": "Brews", "parameters": schema}
    (own / "functions.json").write_text(json.dumps([{"type": "function", "function": function}]))
    rows = [{"id": f"q{n}", "query": f"brew {n}", "answers": [{"name": "brew", "arguments": {}}]} for n in range(60)]
    (own / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with (
        changed(Path("params.yaml"), lambda params: params["dataset"].update(source="own")),
        pytest.raises(UserError, match="prompt.answer: python: function 'brew': 'how many' can be no name in a call"),
    ):
        dataset.main(tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()
