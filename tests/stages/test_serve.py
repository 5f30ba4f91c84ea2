"""`supertiny serve` as a user starts it: a process of its own, random tiny models, the real path behind HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from supertiny.commands import export, serve
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, write_json
from tests.project import TOP, changed, have_base, have_dataset, smoke_project
from tests.unit.serve.http import get, post

MODELS = Path("data/models")
MAIN = [sys.executable, "-c", "from supertiny.commands import main; main()"]
ENV = os.environ | {"PYTHONPATH": str(TOP / "src")}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    def change(params, profile):
        params["decode"]["max_new_tokens"] = 8
        params["prompt"]["answer"] = "json"  # models that have learned nothing say no other

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("llm", "student", "encoder")
        yield folder


@contextmanager
def started(*options):
    """Process and address of the service, up when it says so."""
    with subprocess.Popen([*MAIN, "serve", *options], stderr=subprocess.PIPE, text=True, env=ENV) as process:
        said = []
        try:
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"running on (http://[\d.:]+)", line):
                    yield process, found[1]
                    break
            else:
                pytest.fail("".join(said))
        finally:  # a test that failed would wait for it
            process.kill()


def test_the_service_answers_by_every_model_and_stops_when_told(project):
    with started("--models", "student,llm", "--by", "embedding") as (process, url):
        assert [one["id"] for one in json.loads(get(f"{url}/v1/models")[1])["data"]] == ["student", "llm"]
        written = {}
        for model in ("student", "llm"):
            status, body, _ = post(f"{url}/v1/answers", {"query": "turn on the lights", "model": model})
            found = json.loads(body)
            assert status == 200 and found["searched_for"] and len(found["candidates"]) == 8
            assert found["tokens"]["new"] > 0
            written[model] = found["written"]
        again = json.loads(post(f"{url}/v1/answers", {"query": "turn on the lights"})[1])
        assert again["written"] == written["student"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"models": "llm,none"}, "--models: there is no model in data/models/none"),
        ({"models": " , "}, "--models: expected a name"),
        ({"models": "llm", "by": "guess"}, "--by: expected one of"),
        ({"models": "llm", "by": "classifier"}, "dvc repro retriever"),
        ({"models": "llm", "engine": "warp"}, "there is no engine 'warp'"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_is_loaded(project, asked, said):
    with pytest.raises(UserError, match=said):
        serve.main(**asked)


def test_an_exported_folder_serves_what_it_was_made_of(project, tmp_path, monkeypatch):
    for command in (["init", "--quiet"], ["add", "params.yaml"], ["commit", "--quiet", "-m", "made"]):
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *who, *command], check=True)
    write_json(Path("metrics/summary.json"), {"student": {"ar": 0.5, "qps": 2.0}})
    Path("dvc.lock").write_text("schema: '2.0'\n")
    out = tmp_path / "deploy"
    Path("profiles/own.yaml").write_text("extends: smoke\n")
    with changed(Path("params.yaml"), lambda params: params.update(profile="own")):
        export.main("student", out)
    assert {path.name for path in (out / "profiles").iterdir()} == {"own.yaml", "smoke.yaml"}
    assert read_json(out / "card.json")["metrics"] == {"ar": 0.5, "qps": 2.0}
    card = (out / "README.md").read_text()
    assert "| qps | 2.0 |" in card and "llama-server -m models/student.gguf" in card
    assert "--data dataset\n" in card, "the whole pool is offered, nothing is looked for"
    assert (out / "models/index.npz").is_file()
    with pytest.raises(UserError, match="--out: .* exists"):
        export.main("student", out)
    with pytest.raises(UserError, match="--model: there is no model in data/models/none"):
        export.main("none", tmp_path / "other")
    options = ("--models", "student")
    said = []
    for folder, paths in ((Path.cwd(), ()), (out, ("--home", "models", "--data", "dataset"))):
        monkeypatch.chdir(folder)
        with started(*options, *paths) as (_, url):
            said.append(json.loads(post(f"{url}/v1/answers", {"query": "turn on the lights"})[1]))
    assert said[0]["written"] == said[1]["written"] and said[0]["prompt"] == said[1]["prompt"]


def test_an_unknown_command_is_told_what_there_is(project):
    done = subprocess.run([*MAIN, "fly"], capture_output=True, text=True, check=False, env=ENV)
    assert done.returncode == 1 and "usage: supertiny {ask,serve,export," in done.stderr
    asked = subprocess.run([*MAIN, "--help"], capture_output=True, text=True, check=True, env=ENV)
    assert asked.stdout.strip() == done.stderr.strip() and "  doctor   what this machine" in asked.stdout
    assert "  ask      one query answered" in asked.stdout and "  plan     what a profile will run" in asked.stdout
