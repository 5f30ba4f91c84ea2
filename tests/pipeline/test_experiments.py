"""What is done with experiments: a table with few columns, the winner kept, an impossible override refused."""

import csv
import io
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from supertiny.commands import settings
from supertiny.commands.plan import overrides
from tests.house import put
from tests.pages import commands, documented

from .conftest import ROOT, Checkout, ran

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("experiments")]
NARROW = documented(
    "dvc exp show --only-changed --sort-by tiny_kd.ar --sort-order desc "
    r"--drop '^(?!Experiment$|State$|distill\.|tiny_kd\.(ar|gflops)$)'"
)
LONG = {
    documented("dvc exp run -S training.sft.fit.learning_rate=3.0e-4"): "report",
    documented("dvc exp run $(grep -v '^#' profiles/gpu.set | sed 's/^/-S /')"): "report",
    documented("dvc exp run -S distill.loss=fkl evaluate@tiny_kd"): "evaluate@tiny_kd",
    documented(
        "dvc exp run $(grep -v '^#' profiles/chapters.set | sed 's/^/-S /') -S rl.batches=100 rl@teacher_rl"
    ): "rl@teacher_rl",
    documented("dvc exp run -S pack.whole=1 -S pack.function_dropout=0 report"): "report",
    documented("dvc exp run -S trained.shrink.p30_cut.share=0.5"): "report",
    documented("dvc exp run -S trained.shrink.p30_cut.of=gflops evaluate@p30"): "evaluate@p30",
    documented(
        "dvc exp run -S trained.shrink.p30_cut.share=null -S ++trained.shrink.p30_cut.at_most=60000000"
    ): "report",
    documented(
        "dvc exp run -S shrink.inter_by=activations -S shrink.own_inter=false -S shrink.groups.inter=256"
    ): "report",
    documented("dvc exp run -S profiles/cpu.yaml:sizes.judge.llm_examples=40 judge"): "judge",
    documented("dvc exp run $(grep -hv '^#' profiles/chapters.set profiles/paper.set | sed 's/^/-S /')"): "report",
    documented(
        "dvc exp run $(grep -hv '^#' profiles/chapters.set profiles/paper.set | sed 's/^/-S /') prototype"
    ): "prototype",
    documented("dvc exp run $(grep -v '^#' profiles/chapters.set | sed 's/^/-S /')"): "report",
    documented("dvc exp run -S profiles/paper.yaml:++servers.model=Qwen/QwQ-32B judge rft"): "rft",
    documented("dvc exp run -S profiles/paper.yaml:++servers.model=Qwen/Qwen2.5-72B-Instruct"): "report",
    documented(
        "dvc exp run $(grep -v '^#' profiles/gpu.set | sed 's/^/-S /') -S 'profiles/gpu.yaml:++engines.train=megatron' "
        "-S 'profiles/gpu.yaml:++megatron.tensor_parallel=2' -S profiles/gpu.yaml:++train.processes=4 sft"
    ): "sft@sft",
}
"""experiments of the pages that take minutes at least, or other machines -> the last stage that each would run"""


def table(checkout: Checkout, line: str = "dvc exp show") -> list[dict[str, str]]:
    said = checkout.run("bash", "-ec", f"{line} --csv --hide-workspace")
    return list(csv.DictReader(io.StringIO(said.strip())))


@pytest.fixture(scope="module")
def queue_run(small_built, tmp_path_factory) -> Checkout:
    """Three values of mu, queued, then run; not to be changed."""
    checkout = small_built.copied(tmp_path_factory.mktemp("tried") / "small")
    checkout.documented("for mu in 0.5 0.6 0.8; do dvc exp run --queue -S distill.mu=$mu; done")
    assert checkout.documented("dvc exp run --run-all && dvc queue status").count("Success") == 3
    return checkout


@pytest.fixture
def tried(queue_run, tmp_path) -> Checkout:
    """A copy of it."""
    return queue_run.copied(tmp_path / "small")


@pytest.fixture
def names(tried) -> dict[str, str]:
    """mu -> what DVC calls the experiment."""
    return {row["distill.mu"]: row["Experiment"] for row in table(tried) if row["Experiment"]}


def test_the_table_of_experiments_has_few_columns_and_the_best_first(tried):
    everything = table(tried)
    assert len(everything[0]) > 20, "the table is worth narrowing"
    shown = table(tried, NARROW)
    assert set(shown[0]) - {"rev", "typ", "parent", "State"} == {"Experiment", "tiny_kd.ar", "distill.mu"}
    rows = [(row["tiny_kd.ar"], row["distill.mu"]) for row in shown if row["Experiment"]]
    assert sorted(rows, reverse=True) == [("0.8", "0.8"), ("0.8", "0.6"), ("0.7", "0.5")] and rows[-1][0] == "0.7"


def test_the_winner_becomes_a_branch_or_this_checkout_and_the_others_go(tried, names):
    tried.documented("dvc exp branch <name> mu-09", name=names["0.6"])
    assert "mu: 0.6" in tried.run("git", "show", "mu-09:params.yaml")
    tried.documented('dvc exp apply <name> && git add -A && git commit -m "mu .9"', name=names["0.6"])
    assert json.loads((tried.path / "metrics/summary.json").read_text())["tiny_kd"]["ar"] == 0.8
    tried.documented("dvc exp remove --all-commits")
    left = tried.dvc("exp", "list", "--all-commits")
    assert not [name for name in names.values() if name in left]
    tried.documented("dvc gc --workspace --all-experiments", "--force")
    assert "up to date" in tried.dvc("status")
    tried.run("supertiny", "compare", "--base", "HEAD~1", fails=True)
    assert "**-0.100**" in (tried.path / "review/report.md").read_text()


def test_two_experiments_are_compared_by_their_metrics_and_parameters(tried, names):
    said = tried.documented("dvc exp diff <one> <other>", "--json", one=names["0.5"], other=names["0.8"])
    assert json.loads(said.strip())["metrics"]["metrics/summary.json"]["tiny_kd.ar"]["diff"] == pytest.approx(0.1)


@pytest.fixture
def project(uncut, tmp_path) -> Checkout:
    """The real graph, nothing built."""
    return uncut.copied(tmp_path / "project")


@pytest.mark.graph
@pytest.mark.parametrize("line", LONG)
def test_a_long_experiment_of_the_pages_is_one_that_the_real_graph_takes(project, line):
    """Without its stages' work: DVC takes its values and lists the stages."""
    assert LONG[line] in ran(project.run("bash", "-ec", f"{line} --dry --force"))


@pytest.mark.parametrize("line", LONG)
def test_every_parameter_of_a_long_experiment_of_the_pages_is_in_its_range(project, monkeypatch, line):
    monkeypatch.chdir(project.path)
    words = [word for command in commands(line) for word in command]
    values = [value for option, value in pairwise(words) if option == "-S"]
    put(Path(), *values, *overrides(" ".join(re.findall(r"profiles/[\w.]+\.set", line))))
    assert settings.wrong() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("training.sft.fit.learning_rate", "abc"),
        ("training.sft.epochs", "many"),
        ("++training.sft.fit.schedule", "up"),
        ("distill.mu", "abc"),
        ("distill.loss", "ce"),
        ("trained.shrink.tiny.blocks", "few"),
        ("profiles/smoke.yaml:train.max_tokens", "all"),
        ("profiles/smoke.yaml:++engines.train", "trainer"),
        ("profiles/smoke.yaml:++train.max_token", "1"),
    ],
)
def test_an_ill_typed_value_is_refused_with_the_names_of_its_file_and_field(project, monkeypatch, name, value):
    """What `resolve` says; through DVC it is tried once, in test_pipeline.py."""
    monkeypatch.chdir(project.path)
    assert settings.wrong() == []
    put(Path(), f"{name}={value}")
    said = settings.wrong()
    file, _, field = name.rpartition(":")
    assert said and len(said) <= 2 and "\n" not in said[0]
    assert (file or "params.yaml") in said[0] and field.split(".")[-1] in said[0]
    assert value in said[0] or value == "1", "a key that nobody knows is named, whatever its value"


def test_a_cold_default_run_starts_at_most_60_processes(project):
    """With the parameters as they are in this checkout, not those of the tests."""
    shutil.copy2(ROOT / "params.yaml", project.path)
    assert 40 < len(ran(project.documented("dvc repro", "--dry --force"))) <= 60


def test_an_impossible_override_far_down_the_graph_is_refused_before_any_stage_works(project):
    before, others = project.outs(), "-S seed=5 -S gates.every.ar_drop=a"
    line = documented("dvc exp run -S <parameter>=<value>", parameter="distill.mu", value="-0.5")
    said = project.run("bash", "-ec", f"{line} {others}", fails=True)
    assert len(ran(said)) == 1, "the first stage, which says it"
    assert "error: params.yaml: distill: mu" in said and "gates.every.ar_drop" in said and "Traceback" not in said
    assert project.outs().items() <= before.items(), "nothing new was made"
