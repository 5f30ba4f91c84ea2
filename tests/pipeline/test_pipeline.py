"""The promises of the graph, kept by the real dvc command line on the smoke profile."""

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from tests.pages import documented
from tests.stages.test_serve import started
from tests.unit.serve.http import post

from .conftest import Checkout, compare, ran

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("pipeline")]  # one worker builds the clone they share

SMOKE = "profiles/smoke.yaml"
PRUNED = ("p20", "p30")
QUANTIZED = ("w8a16", "w4a16", "w8a8")
TRIMMED = ("trimmed_w8a16",)
MODELS = ("sft", "tiny_rft", "tiny_kd", "trimmed", *TRIMMED, *PRUNED, *QUANTIZED)
SERVED = ("sft", "tiny_kd", "p30")
POLICIES = ("thinking", "teacher_rl", "tiny_rl", "tiny_star", "tiny_star_rl")
ROWS = {*(f"row@{name}" for name in SERVED), "system_row@prototype", "system_row@baseline"}
ALL = {
    *("dataset", "base", "base", "base", "prototype", "judge", "rft", "sft"),
    *("logits", "student@tiny", "student_rft@tiny", "distill@tiny", "distance"),
    *("importance", "trim", "correct", "compression", *(f"quantize@{name}" for name in (*TRIMMED, *QUANTIZED))),
    *(f"{verb}@{name}" for verb in ("prune", "recover", "recover_domain") for name in PRUNED),
    *(f"{verb}@{name}" for verb in ("evaluate", "cost") for name in MODELS),
    *(f"bench@{name}" for name in SERVED),
    *ROWS,
    *("thoughts", "traces", *(f"thinker@{name}" for name in ("thinking", "tiny_cold", "tiny_star"))),
    *(f"rl@{name}" for name in ("teacher_rl", "tiny_rl", "tiny_star_rl")),
    *("rl_results", *(f"evaluate_policy@{name}" for name in POLICIES)),
    *("prototype_results", "prototype_cost", "prototype_bench", "ablation"),
    *("baseline", "baseline_results", "baseline_bench"),
    *("retriever", "describe@zero_shot", "reject", "describer", "describe@optimized", "retrieval", "report"),
}


def test_the_whole_graph_runs(built, first_run):
    assert set(ran(first_run)) == ALL
    assert ran(first_run)[-1] == "report"


def test_a_second_run_runs_nothing_and_git_is_clean(built):
    assert ran(built.dvc("repro")) == ran(built.documented("dvc repro evaluate@sft")) == []
    assert "up to date" in built.documented("dvc status")
    assert "Fine-tune the language model" in built.documented("dvc stage list")
    assert built.run("git", "status", "--porcelain").strip() == ""


def test_metrics_and_plots_show(built, copy):
    checkout = copy()
    shown = json.loads(checkout.documented("dvc metrics show", "--json").strip())
    summary = shown[""]["data"]["metrics/summary.json"]["data"]
    assert 0 <= summary["sft"]["ar"] <= 1 and summary["sft"]["qps"]["cc4"] > 0 and summary["data"]["ttr"] > 0
    plots = json.loads(checkout.documented("dvc plots show", "--json --split").strip())
    assert set(plots["data"]) >= {"pareto", "speed", "response", "learning", "functions", "metrics/pareto.svg"}
    assert not plots.get("errors")
    checkout.dvc("plots", "show", "--out", "plots")
    assert (checkout.path / "plots/static/workspace_metrics_pareto.svg").is_file()


def test_one_parameter_reruns_exactly_what_it_changes(copy):
    checkout = copy()
    said = checkout.dvc("exp", "run", "-S", "bench.clients=[1]")
    benched = {*(f"bench@{name}" for name in SERVED), "prototype_bench", "baseline_bench"}
    assert set(ran(said)) == {*benched, *ROWS, "report"}
    assert "sft.qps.cc4" in checkout.documented("dvc metrics diff")


def test_another_mu_reruns_what_hangs_on_it_alone_and_is_compared_with_its_base(copy):
    checkout = copy()
    main = checkout.run("git", "rev-parse", "--abbrev-ref", "HEAD").strip()
    page = compare(checkout, "--base", main)
    assert "**All gates hold.**" in page and "None ran anew." in page and "![" not in page
    checkout.run("git", "checkout", "--quiet", "-b", "mu")
    kept = {name: content for name, content in checkout.outs().items() if name.startswith("data/logits/")}
    # at .7 and at .9 the head of a random teacher is all that is kept of it: the student would be the same
    said = checkout.dvc("exp", "run", "-S", "distill.mu=0.2")
    measured = {f"{verb}@tiny_kd" for verb in ("evaluate", "cost", "bench", "row")}
    on_it = [name for name in POLICIES if name.startswith("tiny_")]
    policies = {"thinker@tiny_cold", "thinker@tiny_star", "rl@tiny_rl", "rl@tiny_star_rl", "rl_results"}
    pruned = {f"{verb}@{name}" for verb in ("recover", "recover_domain", "evaluate", "cost") for name in PRUNED}
    quantized = {f"{verb}@{name}" for verb in ("quantize", "evaluate", "cost") for name in QUANTIZED}
    # what compression compares may be the same again: random models are never right
    assert set(ran(said)) | {"compression"} == {
        *("distill@tiny", "distance", *measured, "report"),
        *policies,
        *(f"evaluate_policy@{name}" for name in on_it),
        *(*pruned, *quantized, "bench@p30", "row@p30", "compression"),
    }
    outs = checkout.outs()
    assert kept and {name: outs[name] for name in kept} == kept, "the teacher is not asked again"
    assert "distill.mu" in checkout.dvc("params", "diff")
    gates = dict.fromkeys(("ar_drop", "ood_ar_drop", "gflops_rise", "weights_rise", "qps_drop"))
    checkout.set("params.yaml", gates={"every": gates})  # random models on six queries: anything goes
    checkout.commit()
    page = compare(checkout, "--base", main)
    assert "| `distill.mu` | `0.7` | `0.2` | params.yaml |" in page
    assert "`distill@tiny`" in page.split("## Stages")[1] and "plots/learning.svg" in page
    for picture in (checkout.path / "review/plots").iterdir():
        assert picture.read_bytes().lstrip().startswith((b"<svg", b"<?xml"))


def test_a_second_student_learns_from_the_same_logits(copy):
    """What README says it takes: its name, its shape, its row."""
    checkout = copy()
    shape = {"small": {"layers": 0, "inter": 0, "trim_vocabulary": False, "init": None}}
    students = {"tiny": {"of": "sft"}, "small": {"of": "student"}}
    row = {"small_kd": {"title": "small student, KD", "log": "small_kd", "asked": "models"}}
    params, profile = (yaml.safe_load((checkout.path / name).read_text()) for name in ("params.yaml", SMOKE))
    served = [*params["bench"]["models"], "small_kd"]
    checkout.set("params.yaml", students=students, models=params["models"] | row, bench__models=served)
    checkout.set(SMOKE, student_models=profile["student_models"] | shape)
    measured = {f"{verb}@small_kd" for verb in ("evaluate", "cost", "bench", "row")}
    said = checkout.documented("dvc repro evaluate@<name>", name="small_kd")
    assert set(ran(said)) == {"student@small", "distill@small", *measured}
    assert "small student, KD" in (checkout.path / "data/results/small_kd/row.md").read_text()


@pytest.mark.parametrize(
    ("stage", "name", "value"),
    [
        ("sft", "sft.fit.learning_rate", "abc"),
        ("sft", "sft.epochs", "many"),
        ("sft", "sft.fit.schedule", "up"),
        ("distill@tiny", "distill.mu", "abc"),
        ("distill@tiny", "distill.loss", "ce"),
    ],
)
def test_an_ill_typed_override_is_one_clear_error_and_loses_nothing(copy, built, stage, name, value):
    checkout = copy()
    before = checkout.outs()
    said = checkout.dvc("exp", "run", "-S", f"{name}={value}", fails=True)
    assert ran(said) == [stage]
    (error,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert "params.yaml" in error and name.split(".")[-1] in error and value in error
    assert "Traceback" not in said and "train:" not in said
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
    assert ran(second.dvc("repro", "--dry", "--allow-missing")) == [], "without data it is known to be fresh"
    second.dvc(*remote)
    second.dvc("pull", "--quiet")
    assert "up to date" in second.dvc("status")
    assert ran(second.dvc("repro")) == []
    assert second.outs() == first.outs()
    assert second.run("git", "status", "--porcelain").strip() == ""


def test_a_queued_experiment_runs_its_own_code(copy):
    checkout = copy()
    page = "src/supertiny/report/tables.py"
    checkout.edit(page, "# Results", "# Queued results")
    checkout.dvc("exp", "run", "--queue", "--name", "own-code")
    checkout.edit(page, "# Queued results", "# Later results")
    checkout.env["PYTHONPATH"] = str(checkout.path / "src")  # as an editable install of this checkout would
    checkout.dvc("exp", "run", "--run-all")
    assert "Success" in checkout.dvc("queue", "status")
    written = checkout.run("git", "show", f"{experiment(checkout, 'own-code')}:metrics/results.md")
    assert written.startswith("# Queued results")


def test_a_temporary_experiment_runs_changed_code_and_leaves_the_workspace(copy):
    checkout = copy()
    before = checkout.outs()
    checkout.edit("src/supertiny/report/tables.py", "# Results", "# Other results")
    checkout.env["PYTHONPATH"] = str(Path(__file__).parents[2] / "src")
    said = checkout.dvc("exp", "run", "--temp", "--name", "other-code")
    assert set(ran(said)) == {*ROWS, "report"}
    written = checkout.run("git", "show", f"{experiment(checkout, 'other-code')}:metrics/results.md")
    assert written.startswith("# Other results")
    assert checkout.outs() == before


def test_a_killed_stage_leaves_nothing_half_done_and_resumes_to_the_same_bytes(copy, built):
    checkout = copy(cache=False)
    checkout.set(SMOKE, train__save_minutes=0.00001)
    kill_in_training(checkout)
    left = [path for path in checkout.outs() if path.startswith(("data/models/sft/", "data/logs/sft.csv"))]
    assert left == [], "a stage that was killed leaves no outs"
    state = list(Path(checkout.env["XDG_CACHE_HOME"], "supertiny/resume").glob("sft-*/*"))
    assert state, "what the killed stage had done is kept"
    assert ran(checkout.documented("dvc repro <stage>", stage="sft")) == ["sft"]
    whole = built.outs()
    assert {path: content == whole[path] for path, content in checkout.outs().items() if "sft" in path} == {
        path: True for path in whole if "sft" in path
    }
    assert not list(Path(checkout.env["XDG_CACHE_HOME"], "supertiny/resume").glob("sft-*"))


def kill_in_training(checkout: Checkout) -> None:
    """Start `dvc repro sft` and kill -9 the stage once it has saved its state."""
    states = Path(checkout.env["XDG_CACHE_HOME"], "supertiny/resume")
    command = ["dvc", "repro", "sft"]
    with subprocess.Popen(command, cwd=checkout.path, env=checkout.env, stderr=subprocess.DEVNULL) as dvc:
        until = time.monotonic() + 900  # the stages before it run first, on a machine that may be busy
        while not list(states.glob("sft-*/state.pt")):
            assert dvc.poll() is None and time.monotonic() < until, "the stage never saved its state"
            time.sleep(0.002)
        for process in psutil.Process(dvc.pid).children(recursive=True):
            if "stages.sft" in process.cmdline():
                process.kill()
        assert dvc.wait(60) != 0, "the stage was through before it was killed"


def test_the_two_commands_of_make_find_all_built_and_show_it(copy):
    """The environment is the test's own: `make` is told that there is nothing to install."""
    checkout = copy()
    checkout.env["PYTHONPATH"] = str(checkout.path / "src")
    here = f"BIN={Path(sys.executable).parent} -o .venv/.ready"
    assert ran(checkout.documented("make repro", here)) == []
    assert (checkout.path / "metrics/report.html").is_file()
    (checkout.path / "README.md").write_text("# Voice\n\n<!-- results:begin -->\n<!-- results:end -->\n")
    checkout.documented("make readme", here)
    assert "### Quality and cost" in (checkout.path / "README.md").read_text()


def test_status_says_what_would_run_and_resolve_says_why(copy):
    checkout = copy()
    checkout.env["PYTHONPATH"] = str(checkout.path / "src")
    assert "up to date" in checkout.documented("make status", f"BIN={Path(sys.executable).parent} -o .venv/.ready")
    file = checkout.path / "src/supertiny/measure/evaluate.py"
    file.write_text(f"{file.read_text()}\n\nCHANGED = 1\n")
    said = checkout.documented("python -m stages.resolve --explain evaluate-model")
    assert [line for line in said.splitlines() if line.startswith("changed")] == [
        "changed  src/supertiny/measure/evaluate.py"
    ]
    assert ran(checkout.documented("dvc repro resolve")) == ["resolve"]
    status = checkout.documented("dvc status")
    assert "evaluate@sft" in status and "distill@tiny_kd" not in status


def test_what_was_built_answers_on_the_terminal_and_is_exported(copy):
    checkout = copy()
    said = checkout.documented('supertiny ask --query "turn on the lights" --room kitchen')
    assert said.index("context\n    room") < said.index("candidates\n") < said.index("call\n")
    checkout.env["PYTHONPATH"] = str(checkout.path / "src")
    checkout.documented("supertiny export --model tiny_kd --out deploy")
    assert (checkout.path / "deploy/models/tiny_kd.gguf").is_file()
    assert "tiny_kd" in (checkout.path / "deploy/README.md").read_text()


@pytest.mark.parametrize(
    "line",
    [
        documented("supertiny serve --models tiny_kd,sft"),
        documented("supertiny serve --models tiny_kd,sft --engine openvino"),
        documented("supertiny serve --models tiny_kd --engine openvino &"),
    ],
)
def test_a_service_answers_by_every_model_that_is_named(copy, monkeypatch, line):
    monkeypatch.chdir(copy().path)
    _, _, *options = shlex.split(line.removesuffix(" &"))
    with started(*options) as (process, url):
        for model in options[1].split(","):
            status, body, _ = post(f"{url}/v1/answers", {"query": "turn on the lights", "model": model})
            assert status == 200 and json.loads(body)["candidates"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


def experiment(checkout: Checkout, name: str) -> str:
    """The commit of an experiment."""
    refs = checkout.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    (found,) = [ref for ref in refs if ref.endswith(f"/{name}")]
    return found
