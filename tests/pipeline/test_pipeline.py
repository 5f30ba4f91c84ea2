"""The promises of the graph, kept by the real dvc command line on the short graph: every stage, few entries."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.pages import documented
from tests.stages.test_serve import started
from tests.unit.serve.http import post

from .conftest import ALL, Checkout, compare, ran, stale

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("short")]  # one worker builds the clone they share

SMOKE = "profiles/smoke.yaml"
TABLES = "src/supertiny/report/tables.py"


def test_every_stage_of_the_short_graph_runs(built, first_run):
    assert set(ran(first_run)) == ALL
    assert ran(first_run)[0] == "resolve" and ran(first_run)[-1] == "report"


def test_a_second_run_runs_nothing_and_git_is_clean(built):
    assert ran(built.dvc("repro")) == []
    assert "up to date" in built.documented("dvc status")
    assert built.run("git", "status", "--porcelain").strip() == ""


def test_metrics_and_plots_show(copy):
    checkout = copy()
    shown = json.loads(checkout.documented("dvc metrics show", "--json").strip())
    summary = shown[""]["data"]["metrics/summary.json"]["data"]
    assert 0 <= summary["tiny_kd"]["ar"] <= 1 and summary["tiny_kd"]["qps"] > 0 and summary["data"]["test_size"] > 0
    plots = json.loads(checkout.documented("dvc plots show", "--json --split").strip())
    assert set(plots["data"]) >= {"pareto", "speed", "response", "learning", "functions", "metrics/pareto.svg"}
    assert not plots.get("errors")
    checkout.dvc("plots", "show", "--out", "plots")
    assert (checkout.path / "plots/static/workspace_metrics_pareto.svg").is_file()


def test_one_parameter_reruns_exactly_what_it_changes_and_is_compared_with_its_base(copy):
    checkout = copy()
    main = checkout.run("git", "rev-parse", "--abbrev-ref", "HEAD").strip()
    checkout.run("git", "checkout", "--quiet", "-b", "one-client")
    said = checkout.dvc("exp", "run", "-S", "bench.clients=[1]")
    assert set(ran(said)) == {"resolve", "bench@tiny_kd", "report"}
    assert "tiny_kd.qps" in checkout.documented("dvc metrics diff")
    gates = dict.fromkeys(("ar_drop", "ood_ar_drop", "gflops_rise", "weights_rise", "qps_drop"))
    checkout.set("params.yaml", gates={"every": gates})  # random models on six queries: anything goes
    checkout.commit()
    page = compare(checkout, "--base", main)
    assert "| `bench.clients` |" in page and "plots/response.svg" in page
    assert "`bench@tiny_kd`" in page.split("## Stages")[1] and "`evaluate@tiny_kd`" not in page.split("## Stages")[1]
    for picture in (checkout.path / "review/plots").iterdir():
        assert picture.read_bytes().lstrip().startswith((b"<svg", b"<?xml"))


def test_an_ill_typed_override_is_one_clear_error_and_loses_nothing(copy):
    """Through DVC once; the other values in tests/pipeline/test_experiments.py."""
    checkout = copy()
    before = checkout.outs()
    said = checkout.dvc("exp", "run", "-S", "training.sft.fit.learning_rate=abc", fails=True)
    assert ran(said) == ["resolve"]
    (error,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert "params.yaml" in error and "learning_rate" in error and "abc" in error
    assert "Traceback" not in said and "train:" not in said
    checkout.run("touch", "params.yaml")  # as long as before, what DVC left would be unchanged to git
    checkout.run("git", "checkout", "--quiet", "params.yaml")
    assert ran(checkout.dvc("repro")) == []
    assert checkout.outs() == before


def test_a_fresh_clone_with_a_remote_rebuilds_nothing(copy, tmp_path):
    remote = ["remote", "add", "--quiet", "--local", "--default", "shared", str(tmp_path / "remote")]
    first = copy()
    first.dvc(*remote)
    first.dvc("push", "--quiet")
    second = Checkout(tmp_path / "fresh", first.env)
    first.run("git", "clone", "--quiet", ".", str(second.path))
    assert not (second.path / "data/models").exists()
    assert ran(second.dvc("repro", "--dry", "--allow-missing")) == [], "without data it is known to be fresh"
    second.dvc(*remote)
    second.dvc("pull", "--quiet")
    assert "up to date" in second.dvc("status")
    assert ran(second.dvc("repro")) == []
    assert second.outs() == first.outs()
    assert second.run("git", "status", "--porcelain").strip() == ""


def test_a_queued_experiment_runs_its_own_code(copy):
    checkout = copy()
    checkout.edit(TABLES, "# Results", "# Queued results")
    checkout.dvc("exp", "run", "--queue", "--name", "own-code")
    checkout.edit(TABLES, "# Queued results", "# Later results")
    checkout.our_code().dvc("exp", "run", "--run-all")
    assert "Success" in checkout.dvc("queue", "status")
    written = checkout.run("git", "show", f"{experiment(checkout, 'own-code')}:metrics/results.md")
    assert written.startswith("# Queued results")


@pytest.mark.graph
def test_a_temporary_experiment_runs_changed_code_and_leaves_the_workspace(copy):
    checkout = copy()
    before = checkout.outs()
    checkout.edit(TABLES, "# Results", "# Other results")
    checkout.env["PYTHONPATH"] = str(Path(__file__).parents[2] / "src")
    said = checkout.dvc("exp", "run", "--temp", "--name", "other-code")
    assert set(ran(said)) == {"resolve", "report"}
    written = checkout.run("git", "show", f"{experiment(checkout, 'other-code')}:metrics/results.md")
    assert written.startswith("# Other results")
    assert checkout.outs() == before


def test_a_killed_stage_leaves_nothing_half_done_and_resumes_to_the_same_bytes(copy, built):
    checkout = copy(cache=False)
    checkout.add(SMOKE, train__save_minutes=0.00001)
    assert ran(checkout.documented("dvc repro resolve")) == ["resolve"]
    kill_in_training(checkout)
    left = [path for path in checkout.outs() if path.startswith(("data/models/sft/", "data/logs/sft.csv"))]
    assert left == [], "a stage that was killed leaves no outs"
    state = list(Path(checkout.env["XDG_CACHE_HOME"], "supertiny/resume").glob("sft-*/*"))
    assert state, "what the killed stage had done is kept"
    assert ran(checkout.documented("dvc repro <stage>", "--single-item", stage="sft@sft")) == ["sft@sft"]
    made, whole = (
        {path: content for path, content in one.outs().items() if re.match(r"data/(models/sft/|logs/sft\.csv)", path)}
        for one in (checkout, built)
    )
    assert made and made == whole
    assert not list(Path(checkout.env["XDG_CACHE_HOME"], "supertiny/resume").glob("sft-*"))


def kill_in_training(checkout: Checkout) -> None:
    """Start `dvc repro sft@sft` and kill -9 the stage once it has saved its state."""
    states = Path(checkout.env["XDG_CACHE_HOME"], "supertiny/resume")
    command = ["dvc", "repro", "--single-item", "sft@sft"]
    with subprocess.Popen(command, cwd=checkout.path, env=checkout.env, stderr=subprocess.DEVNULL) as dvc:
        until = time.monotonic() + 300  # on a machine that may be busy
        while not list(states.glob("sft-*/state.pt")):
            assert dvc.poll() is None and time.monotonic() < until, "the stage never saved its state"
            time.sleep(0.002)
        for process in psutil.Process(dvc.pid).children(recursive=True):
            if "stages.sft" in process.cmdline():
                process.kill()
        assert dvc.wait(60) != 0, "the stage was through before it was killed"


def test_the_two_commands_of_make_find_all_built_and_show_it(copy):
    """The environment is the test's own: `make` is told that there is nothing to install."""
    checkout = copy().our_code()
    here = f"BIN={Path(sys.executable).parent} -o .venv/.ready"
    assert ran(checkout.documented("make repro", here)) == []
    assert (checkout.path / "metrics/report.html").is_file()
    (checkout.path / "README.md").write_text("# Voice\n\n<!-- results:begin -->\n<!-- results:end -->\n")
    checkout.documented("make readme", here)
    assert "| student, KD |" in (checkout.path / "README.md").read_text()


def test_status_says_what_would_run_and_resolve_says_why(copy):
    """Where DVC alone could only say that `resolve` would run: its own inputs changed, and no other stage's yet."""
    checkout, file = copy().our_code(), "src/supertiny/measure/evaluate.py"
    for name, line in ((file, "CHANGED = 1"), ("src/supertiny/distill/divergence.py", "# a comment")):
        with (checkout.path / name).open("a") as source:
            source.write(f"\n\n{line}\n")
    assert stale(checkout) == {"resolve"}
    said = checkout.documented("python -m stages.resolve --explain evaluate-model")
    assert [line for line in said.splitlines() if line.startswith("changed")] == [f"changed  {file}"]
    said = checkout.documented("make status", f"BIN={Path(sys.executable).parent} -o .venv/.ready")
    assert "evaluate@tiny_kd" in said and "distill@tiny_kd" not in said, "and a comment is no change"


def test_a_model_that_is_gone_leaves_nothing_and_a_clone_without_it_agrees(copy, tmp_path):
    """Stage report depends on the folders of results and logs: what lay there of old would change it."""
    checkout = copy()
    left = checkout.path / "data/results/w8a16"
    assert (left / "rates.json").is_file()
    checkout.keep({"systems": ["prototype", "baseline", "tiny_kd"], "trained.quantize": []})
    (checkout.path / "data/logs/of_old.csv").write_text("step,loss\n")
    said = checkout.dvc("repro")
    assert ran(said) == ["resolve", "report"] and "data/results/w8a16/rates.json" in said
    assert not left.exists() and not (checkout.path / "data/logs/of_old.csv").exists()
    assert "up to date" in checkout.dvc("status")
    checkout.commit()
    other = Checkout(tmp_path / "clone", checkout.env)
    checkout.run("git", "clone", "--quiet", ".", str(other.path))
    other.dvc("cache", "dir", "--local", str(checkout.path / ".dvc/cache"))
    other.dvc("checkout", "--quiet")
    assert "up to date" in other.dvc("status")
    assert "w8a16" not in (other.path / "metrics/summary.json").read_text()


def test_what_was_built_answers_on_the_terminal_and_is_exported(copy):
    checkout = copy().our_code()
    said = checkout.documented('supertiny ask --query "turn on the lights" --room kitchen')
    assert said.index("context\n    room") < said.index("candidates\n") < said.index("call\n")
    checkout.documented("supertiny export --model tiny_kd --out deploy")
    assert (checkout.path / "deploy/models/tiny_kd.gguf").is_file()
    assert "tiny_kd" in (checkout.path / "deploy/README.md").read_text()


@pytest.mark.parametrize(
    "line",
    [
        documented("supertiny serve --models tiny_kd,sft"),
        pytest.param(documented("supertiny serve --models tiny_kd,sft --engine openvino"), marks=pytest.mark.engine),
        pytest.param(documented("supertiny serve --models tiny_kd --engine openvino &"), marks=pytest.mark.engine),
    ],
)
def test_a_service_answers_by_every_model_that_is_named(built, monkeypatch, line):
    monkeypatch.chdir(built.path)
    _, _, *options = shlex.split(line.removesuffix(" &"))
    with started(*options) as (process, url):
        for model in options[1].split(","):
            status, body, _ = post(f"{url}/v1/answers", {"query": "turn on the lights", "model": model})
            said = json.loads(body)
            assert status == 200 and said["tokens"]["new"] > 0
            assert said["candidates"] == [], "nothing was looked for: the whole pool is offered"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


def experiment(checkout: Checkout, name: str) -> str:
    """The commit of an experiment."""
    refs = checkout.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    (found,) = [ref for ref in refs if ref.endswith(f"/{name}")]
    return found
