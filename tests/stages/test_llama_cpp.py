"""The hosted engines against a real server of the OpenAI protocol: llama.cpp's, in the place of SGLang's and vLLM's.

The stages start it, wait for it, ask it and stop it, or ask the one whose address they are given.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from stages import bench, evaluate
from supertiny.engines.servers.answer import stop_all
from supertiny.model import checkpoint
from supertiny.serve.export import write_gguf
from tests.environment import environment
from tests.project import TOP, have_base, have_dataset, smoke_project
from tests.unit.compress.conftest import llama_tokenizer, random_model

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.engine

DATA, MODEL = Path("data/dataset"), Path("data/models/llm")
ENCODER = Path("data/models/encoder")
HERE = "127.0.0.1"
SERVER = "tests.llama_server"
MODULES = {"sglang": "sglang.launch_server", "vllm": "vllm.entrypoints.openai.api_server"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    home = tmp_path_factory.mktemp("llama_cpp")
    programs = {
        name: str(environment(home / "envs" / name, {module: f"{SERVER} {name}"})) for name, module in MODULES.items()
    }

    def change(params, profile):
        profile["launch"]["programs"] |= programs
        profile["sizes"]["evaluate"] |= {"models": {"test": 6, "ood": 2}, "prototype": {"test": 3, "ood": 1}}
        profile["sizes"]["bench"] = {"requests": 4, "warmup": 0, "max_clients": {"model": 4}}
        profile["generate"]["batch_size"] = profile["chat"]["batch_size"] = 4
        profile["servers"]["chat"]["context"] = 4096
        params["bench"]["clients"] = [1, 4]
        params["decode"] |= {
            "constrained": False,
            "max_new_tokens": 24,
        }  # it knows none of the grammars that it is told

    (home / "project").mkdir()
    with smoke_project(home / "project", change) as folder:
        have_dataset()
        have_base("encoder")
        tokenizer = llama_tokenizer()
        checkpoint.save(random_model(tokenizer, max_position_embeddings=4096), tokenizer, MODEL)
        write_gguf(MODEL, MODEL.with_suffix(".gguf"))
        yield folder


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Every start of a server: its process and its port."""
    path = tmp_path / "record"
    path.write_text("")
    monkeypatch.setenv("LLAMA_SERVER_RECORD", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


@contextmanager
def profile(url=None, **engines):
    """Inside, the profile has these engines, and a server of answers at `url` if one is given."""
    path = Path("profiles/smoke.yaml")
    kept = path.read_text()
    changed = yaml.safe_load(kept)
    changed["engines"] |= engines
    changed["servers"]["answers"]["url"] = url
    path.write_text(yaml.safe_dump(changed))
    try:
        yield
    finally:
        path.write_text(kept)


def evaluated(name):
    out = Path("data/results") / name
    evaluate.main("sft", MODEL, ENCODER, DATA, out)
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    return [row["written"] for row in rows], json.loads((out / "rates.json").read_text())["workload"]


@pytest.fixture(scope="module")
def native(project):
    with profile(generate="native"):
        return evaluated("native")


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("engine", MODULES)
def test_a_started_server_goes_on_from_our_tokens_as_the_native_engine_does(native, engine, record):
    """The same text to the letter; what was answered once is not asked again, and no server stays."""
    with profile(generate=engine):
        written, workload = evaluated(engine)
        assert written == native[0]
        assert workload["prompt_tokens"] == native[1]["prompt_tokens"]
        assert 0 < workload["uncached_tokens"] < workload["prompt_tokens"]  # it keeps prefixes
        evaluated(engine)
    (started,) = record()
    assert is_gone(started["pid"])


def test_chats_are_held_to_their_schema_by_the_server(project, record):
    out = Path("data/results/prototype")
    with profile(chat="sglang"):
        evaluate.main("prototype", MODEL, ENCODER, DATA, out)
        stop_all()
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    for row in rows:  # a random model may not come to the end of its answer, or of its blanks
        said, start = re.sub(r"\s", "", row["written"]), '{"answer":'
        assert said and (said.startswith(start) or start.startswith(said)), row["written"]
    assert is_gone(record()[0]["pid"])


def test_a_server_whose_address_is_given_is_asked_by_many_and_left_alone(native, record):
    with socket.socket() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    url = f"http://{HERE}:{port}/v1"
    words = ["--model-path", str(MODEL), "--served-model-name", MODEL.name, "--host", HERE, "--port", str(port)]
    words += ["--context-length", "1024", "--max-running-requests", "4"]
    running = subprocess.Popen(
        [sys.executable, "-m", SERVER, "sglang", *words],
        env=os.environ | {"PYTHONPATH": f"{TOP / 'src'}:{TOP}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"{url}/models", running)
        with profile(url=url, serve="sglang"):
            answers, out = Path("data/results/native/answers.jsonl"), Path("data/results/bench.json")
            bench.main("sft", MODEL, ENCODER, DATA, answers, out)
        found = json.loads(out.read_text())
        assert found["engine"] == "sglang" and list(found["rounds"]) == ["cc1", "cc4"]
        assert all(one["errors"] == 0 and one["qps"] > 0 for one in found["rounds"].values())
        assert found["rounds"]["cc1"]["differing"] <= 1
        assert len(record()) == 1 and running.poll() is None
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=60) == 0


def wait_for(url, running):
    while running.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server ended")
