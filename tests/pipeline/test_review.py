"""A branch against its base: the report, its verdict, and the workflows that call it, on real commits."""

import re
from pathlib import Path

import pytest
import yaml

from .conftest import ROOT, Checkout, compare

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("small")]


def branch(checkout: Checkout, mu: float) -> None:
    """A branch whose results are those of another mu, committed."""
    checkout.run("git", "checkout", "--quiet", "-b", "mu")
    checkout.set("params.yaml", distill__mu=mu)
    checkout.dvc("repro")
    checkout.commit()


def test_a_branch_that_loses_too_much_is_refused_and_told_why(small):
    branch(small, 0.6)
    page = compare(small, "--base", "main", fails=True)
    assert page.startswith("# Results of `mu` against `main`\n\n**The gates do not hold.** 9 of 10 measures")
    assert "- ✗ student, KD: AR, in domain falls by 0.100; allowed: 0.020" in page
    row = "| student, KD | 0.900 [0.850, 0.950]<br>0.800 [0.750, 0.850]<br>✗ **-0.100** | 100 | 0.500 | 20.0 |"
    assert row in page and "Unchanged: teacher." in page
    assert "| `distill.mu` | `0.7` | `0.6` | params.yaml |" in page and "other.width" not in page
    assert "Ran anew: `distill`, `report`." in page
    drawn = sorted(path.name for path in (small.path / "review/plots").iterdir())
    assert drawn == ["pareto-base.svg", "pareto-here.svg", "pareto.svg"], "what is the same is not drawn"
    assert re.findall(r"\(plots/([^)]*)\)", page) == ["pareto.svg", "pareto-base.svg", "pareto-here.svg"]
    both = (small.path / "review/plots/pareto.svg").read_text()
    assert both.startswith("<svg") and "workspace" in both and "main" in both
    assert 'width="90"' in (small.path / "review/plots/pareto-base.svg").read_text()
    assert small.run("git", "status", "--porcelain").strip() == ""


def test_a_branch_within_its_gates_is_let_through(small):
    branch(small, 0.69)
    page = compare(small, "--base", "main")
    assert "**All gates hold.** 10 of 10" in page and "**-0.010**" in page
    small.set("params.yaml", gates__every__ar_drop=0.005)
    small.commit()
    assert "allowed: 0.005" in compare(small, "--base", "main", fails=True)


def test_results_of_other_code_are_refused_with_data_and_without(small, tmp_path):
    small.run("git", "checkout", "--quiet", "-b", "code")
    small.edit("stages/report.py", '"mb"', '"mib"')
    small.commit()
    assert "`dvc repro` would run `report`" in compare(small, "--base", "main", fails=True)
    bare = Checkout(tmp_path / "bare", small.env)
    small.run("git", "clone", "--quiet", ".", str(bare.path))
    assert not (bare.path / "data/model").exists()
    bare.documented("supertiny compare --base origin/main", fails=True)
    assert "`dvc repro` would run `report`" in (bare.path / "review/report.md").read_text()
    bare.run("git", "checkout", "--quiet", "main")
    assert "**All gates hold.**" in compare(bare, "--base", "main"), "without data, but of this code"


def test_another_machine_or_profile_is_noted_and_its_times_are_not_judged(small):
    small.run("git", "checkout", "--quiet", "-b", "box")
    (small.path / "profiles/large.yaml").write_text("{}\n")
    small.set("params.yaml", profile="large")
    small.edit("stages/report.py", "Measured with one box", "Measured with another box")
    small.edit("stages/report.py", '"qps": 4.0', '"qps": 0.1')
    small.dvc("repro")
    small.commit()
    page = compare(small, "--base", "main")
    assert "> Another profile" in page and "> Served by another machine" in page and "**-97.5 %**" in page


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--base", "nosuch"], "'nosuch'"),
        (["--base", "main", "--out", "data"], "--out: data"),
        ([], "--base"),
    ],
)
def test_what_cannot_be_compared_is_one_clear_error(small, options, named):
    said = small.run("supertiny", "compare", *options, fails=True)
    assert named in said and "Traceback" not in said
    assert not (small.path / "review").exists() and (small.path / "data/model").is_dir()


def test_a_base_without_results_is_named(small):
    small.run("git", "checkout", "--quiet", "-b", "empty")
    small.run("git", "rm", "--quiet", "-r", "metrics")
    small.commit()
    small.run("git", "checkout", "--quiet", "main")
    said = small.run("supertiny", "compare", "--base", "empty", fails=True)
    assert "metrics/summary.json: revision empty has no figures" in said


def test_the_page_of_results_stands_beside_them_and_changes_no_stage(small):
    assert "--out: metrics is a folder" in small.run("supertiny", "page", "--out", "metrics", fails=True)
    small.documented("supertiny page")
    page = (small.path / "metrics/report.html").read_text()
    assert page.count("<img ") == 4 and "0.9" in page and "mu, here 0.7, is" in page
    assert "up to date" in small.dvc("status")
    assert "Running stage" not in small.dvc("repro")
    assert small.run("git", "status", "--porcelain").strip() == ""
    small.edit("stages/report.py", "20.0", "19.0")
    small.dvc("repro")
    assert not (small.path / "metrics/report.html").exists(), "other figures leave no page of the old ones"


def steps(workflow: Path) -> dict[str, str]:
    """Name of each step of the GitHub workflow that runs a command -> the command."""
    (job,) = yaml.safe_load(workflow.read_text())["jobs"].values()
    return {step["name"]: step["run"] for step in job["steps"] if "run" in step}


@pytest.mark.graph
def test_the_commands_of_both_workflows_run_here(small, tmp_path):
    """In a clone without data, as a runner has it; only the installation and the comment itself are left out."""
    branch(small, 0.6)
    bare = Checkout(tmp_path / "runner", dict(small.env))
    small.run("git", "clone", "--quiet", ".", str(bare.path))
    commit = bare.run("git", "rev-parse", "origin/main").strip()
    files = "https://forge.example/o/r/raw"
    bare.env.update({"TARGET": "origin/main", "FILES": files, "GITHUB_STEP_SUMMARY": "summary.md"})
    github = steps(ROOT / ".github/workflows/results.yml")
    assert github.keys() == {"Install", "Compare", "Summary", "Comment", "Page"}
    bare.run("bash", "-ec", github["Compare"], fails=True)
    bare.run("bash", "-ec", github["Summary"])
    bare.run("bash", "-ec", github["Page"])
    report = (bare.path / "summary.md").read_text()
    assert "The gates do not hold" in report and f"{files}/{commit}/metrics/pareto.svg" in report
    assert (bare.path / "review/report.html").is_file() and "--body-file review/report.md" in github["Comment"]

    gitlab = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())["results"]
    bare.env.update({"CI_MERGE_REQUEST_DIFF_BASE_SHA": commit, "CI_PROJECT_URL": "https://forge.example/o/r/-"})
    for command in gitlab["script"]:
        bare.run("bash", "-ec", command, fails=True)
    for command in gitlab["after_script"]:
        bare.run("bash", "-ec", command)
    assert f"against `{commit[:9]}`" in (bare.path / "review/report.md").read_text()
    assert gitlab["artifacts"]["paths"] == ["review/"], "GitLab shows a folder in the merge request with a slash alone"
