"""The comparison of engines as a user runs it: real processes, a real service, tiny models."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import engines
from stages import baseline, evaluate
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, read_jsonl, write_jsonl
from tests.project import TOP, have_base, have_dataset, smoke_project
from tests.stages.test_serve import started

pytestmark = pytest.mark.engine

MODELS = Path("data/models")
ENGINES = ["native", *(["openvino"] if find_spec("openvino_genai") else [])]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    def change(params, profile):
        params["decode"]["max_new_tokens"] = 6
        params["prompt"]["answer"] = "json"  # models that have learned nothing say no other
        params["bench"]["clients"] = [1, 3]
        for part in ("domain", "all_domains", "frame"):
            params["baseline"][part] |= {"epochs": 1, "min_steps": 1}
        profile["sizes"]["bench"] = {"requests": 4, "warmup": 1, "max_clients": {"model": 8, "traditional": 8}}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("student", "encoder")
        yield folder


def benchmark(*options):
    command = [sys.executable, "-m", "benchmarks.engines", "--models", str(MODELS), "--dataset", "data/dataset"]
    paths = [str(TOP / "src"), str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False, env=env)


def test_every_system_is_asked_at_every_load_in_turns_and_answers_alike(project):
    with started("--models", "student", "--by", "embedding") as (_, url):
        done = benchmark(
            "--names", "student", "--engines", ",".join(ENGINES), "--url", f"{url}/v1", "--repetitions", "2",
            "--out", "found/engines",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = read_json(Path("found/engines.json"))
    rounds, ways = found["rounds"], [*ENGINES, "HTTP, chat/completions"]
    order = [(one["repetition"], one["clients"], one["way"]) for one in rounds]
    turned = [*ways[1:], ways[0]]
    assert order == [(at, cc, way) for at, turn in ((0, ways), (1, turned)) for cc in (1, 3) for way in turn]
    assert all(one["requests"] == (4 if one["clients"] == 1 else 6) for one in rounds)
    assert all(one["errors"] == 0 == one["differing"] for one in rounds), rounds
    assert all(bool(one["peak_memory_mb"]) == (one["way"] in ENGINES) for one in rounds)
    assert found["queries"] == {"student": 11} and found["repetitions"] == 2
    assert ("openvino-genai" in found["machine"]) == ("openvino" in ENGINES)
    assert f"| student | {ways[-1]} |" in Path("found/engines.md").read_text()
    assert "<svg" in Path("found/engines.svg").read_text()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_service_under_128_clients_loses_no_answer_and_mixes_none_up(project, engine):
    with started("--models", "student", "--by", "embedding", "--engine", engine) as (_, url):
        done = benchmark(
            "--names", "student", "--engines", "", "--url", f"{url}/v1", "--repetitions", "1", "--clients", "128",
            "--least", "384", "--out", f"found/service-{engine}",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (one,) = read_json(Path(f"found/service-{engine}.json"))["rounds"]
    assert (one["requests"], one["errors"], one["differing"]) == (384, 0, 0)


def test_the_traditional_system_is_asked_from_query_to_frame_and_answers_are_those_of_its_evaluation(project):
    """Six queries were evaluated, and one of these answers is changed here; the other queries are answered first."""
    results, parts = Path("data/results/baseline"), {"encoder": MODELS / "encoder", "data": Path("data/dataset")}
    trained = {"rows": Path("data/dataset/train.reference.jsonl"), "log": Path("data/logs/baseline.csv")}
    baseline.main(**parts, **trained, out=MODELS / "baseline")
    evaluate.main("baseline", MODELS / "baseline", **parts, out=results)
    rows = [row for _, row in read_jsonl(results / "answers.jsonl")]
    rows[1]["written"] = "another"  # the first query is the warm-up's
    write_jsonl(results / "answers.jsonl", rows)
    done = benchmark(
        "--names", "baseline", "--clients", "2", "--least", "9", "--repetitions", "1",
        "--results", "data/results", "--out", "found/traditional",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (one,) = read_json(Path("found/traditional.json"))["rounds"]
    assert (one["model"], one["way"]) == ("baseline", "native")
    assert (one["requests"], one["errors"], one["differing"]) == (9, 0, 1)
    assert one["cpu_s_a_request"] > 0 and one["peak_memory_mb"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engines": "warp"}, "there is no engine 'warp'"),
        ({"engines": ""}, "--names, --engines, --url: expected a model"),
        ({"route": "images"}, "--route: expected one of chat/completions, completions"),
        ({"engines": "", "url": "gpu1"}, "--url: expected an address"),
    ],
)
def test_what_cannot_be_measured_is_said(project, options, said):
    with pytest.raises(UserError, match=said):
        engines.main(MODELS, Path("data/dataset"), Path("found/none"), names="student", **options)
    assert not list(Path("found").glob("none.*"))


def test_a_server_of_the_bare_model_is_asked_for_completions(project):
    """It answers what the native engine wrote, for it is told so; one model that it does not have is named."""
    from tests.unit.benchmarks.test_remote import completion, stub

    asked = []

    def answer(path, body, headers):
        asked.append((path, body))
        return completion("no such answer")

    with stub(answer, models=["student"]) as (url, _):
        done = benchmark(
            "--names", "student", "--engines", "", "--url", url, "--route", "completions", "--repetitions", "1",
            "--clients", "2", "--least", "5", "--out", "found/bare",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (one,) = read_json(Path("found/bare.json"))["rounds"]
        assert (one["requests"], one["errors"], one["differing"], one["faults"]) == (5, 0, 5, {})
        assert len(asked) == 6 and {path for path, _ in asked} == {"/v1/completions"}
        assert all(isinstance(body["prompt"][0], int) and body["model"] == "student" for _, body in asked)
        assert len({json.dumps(body) for _, body in asked}) == 6, "no query is asked twice"
    with stub(answer, models=["other"]) as (url, _):
        done = benchmark("--names", "student", "--engines", "", "--url", url, "--out", "found/none")
        assert done.returncode == 1 and "the server has no model 'student', only other" in done.stderr
