"""What is done with experiments: a table with few columns, the winner kept, an impossible override refused."""

import csv
import io
import json
import shutil

import pytest

from .conftest import Checkout, ran

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("pipeline")]
COLUMNS = r"^(?!Experiment$|State$|distill\.|tiny_kd\.(ar|gflops_gemm)$)"
"""README's pattern: drop every column but these"""


def table(checkout: Checkout, *options: str) -> list[dict[str, str]]:
    said = checkout.dvc("exp", "show", "--csv", "--hide-workspace", *options)
    return list(csv.DictReader(io.StringIO(said.strip())))


@pytest.fixture
def tried(small) -> Checkout:
    """Three values of mu, queued, then run."""
    for mu in (0.5, 0.69, 0.75):
        small.dvc("exp", "run", "--queue", "--name", f"mu-{mu}".replace(".", ""), "-S", f"distill.mu={mu}")
    small.dvc("exp", "run", "--run-all")
    assert small.dvc("queue", "status").count("Success") == 3
    return small


def test_the_table_of_experiments_has_few_columns_and_the_best_first(tried):
    everything = table(tried)
    assert len(everything[0]) > 20, "the table is worth narrowing"
    shown = table(tried, "--only-changed", "--drop", COLUMNS, "--sort-by", "tiny_kd.ar", "--sort-order", "desc")
    assert set(shown[0]) - {"rev", "typ", "parent", "State"} == {"Experiment", "tiny_kd.ar", "distill.mu"}
    rows = [(row["Experiment"], row["tiny_kd.ar"], row["distill.mu"]) for row in shown if row["Experiment"]]
    assert rows == [("mu-069", "0.89", "0.69"), ("mu-075", "0.85", "0.75"), ("mu-05", "0.7", "0.5")]


def test_the_winner_becomes_a_branch_or_this_checkout(tried):
    tried.dvc("exp", "branch", "mu-069", "gentler")
    assert "0.69" in tried.run("git", "show", "gentler:params.yaml")
    tried.dvc("exp", "apply", "mu-069")
    assert json.loads((tried.path / "metrics/summary.json").read_text())["tiny_kd"]["ar"] == 0.89
    tried.commit()
    assert "up to date" in tried.dvc("status")
    tried.run("supertiny", "compare", "--base", "HEAD~1")
    assert "**-0.010**" in (tried.path / "review/report.md").read_text()


def test_two_experiments_are_compared_by_their_metrics_and_parameters(tried):
    metrics = json.loads(tried.run("dvc", "exp", "diff", "mu-05", "mu-069", "--json").strip())["metrics"]
    assert metrics["metrics/summary.json"]["tiny_kd.ar"]["diff"] == pytest.approx(0.19)


def test_an_impossible_override_far_down_the_graph_is_refused_before_any_stage_works(clone, tmp_path):
    shutil.copytree(clone.path, tmp_path / "project", symlinks=True)
    project = Checkout(tmp_path / "project", clone.env)
    before = project.outs()
    said = project.dvc("exp", "run", "-S", "seed=5", "-S", "distill.mu=-0.5", "-S", "gates.every.ar_drop=a", fails=True)
    assert len(ran(said)) == 1, "the first stage, which says it"
    assert "error: params.yaml: distill: mu" in said and "gates.every.ar_drop" in said and "Traceback" not in said
    assert project.outs().items() <= before.items(), "nothing new was made"
