"""The whole graph, all tables of params.yaml, by the real dvc command line on the smoke profile: `make test-all`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.house import stages, whole_params

from .conftest import Checkout, compare, copies, every_stage, ran, stage_of

pytestmark = [pytest.mark.pipeline, pytest.mark.graph, pytest.mark.xdist_group("whole")]


def hangs_on_teaching() -> set[str]:
    """The models that a student's or a recovered model's teaching reaches, by the tables of params.yaml."""
    trained = whole_params()["trained"]
    reached = {*trained["recover"], *trained["distill"]}
    while (
        more := {name for table in trained.values() for name, entry in table.items() if entry["base"] in reached}
        - reached
    ):
        reached |= more
    return reached


@pytest.fixture
def copy(whole_run, tmp_path: Path) -> Callable[..., Checkout]:
    return partial(copies, whole_run[0], tmp_path)


def test_the_whole_graph_runs(whole_run):
    _, said = whole_run
    assert set(ran(said)) == every_stage() and {name.split("@")[0] for name in ran(said)} == stages().keys()
    assert ran(said)[-1] == "report"


def test_a_second_run_runs_nothing_and_git_is_clean(whole_run):
    built, _ = whole_run
    assert ran(built.dvc("repro")) == ran(built.documented("dvc repro evaluate@sft")) == []
    assert "up to date" in built.dvc("status")
    assert "Fine-tune the classifier retriever" in built.documented("dvc stage list")
    assert built.run("git", "status", "--porcelain").strip() == ""


def test_another_mu_reruns_what_hangs_on_it_alone_and_is_compared_with_its_base(copy):
    checkout = copy()
    main = checkout.run("git", "rev-parse", "--abbrev-ref", "HEAD").strip()
    page = compare(checkout, "--base", main)
    assert "**All gates hold.**" in page and "None ran anew." in page and "![" not in page
    checkout.run("git", "checkout", "--quiet", "-b", "mu")
    kept = {name: content for name, content in checkout.outs().items() if name.startswith("data/logits/")}
    # at .7 and at .9 the head of a random teacher is all that is kept of it: the student would be the same
    said = checkout.dvc("exp", "run", "-S", "distill.mu=0.2")
    params, models = whole_params(), hangs_on_teaching()
    systems = {name for name, system in params["systems"].items() if system["model"] in models}
    assert {"tiny_kd", "p30", "w8a16", "tiny_rl", "tiny_star"} <= models
    assert set(ran(said)) == {
        *("resolve", "distance", "report"),
        *(f"evaluate@{name}" for name in systems),
        *(f"bench@{name}" for name in systems & params["served"].keys()),
        *(
            f"{stage_of(table)}@{name}"
            for table, entries in params["trained"].items()
            for name in entries.keys() & models
        ),
    }
    outs = checkout.outs()
    assert kept and {name: outs[name] for name in kept} == kept, "the teacher is not asked again"
    assert "distill.mu" in checkout.dvc("params", "diff")
    gates = dict.fromkeys(("ar_drop", "ood_ar_drop", "gflops_rise", "weights_rise", "qps_drop"))
    checkout.set("params.yaml", gates={"every": gates})  # random models on six queries: anything goes
    checkout.commit()
    page = compare(checkout, "--base", main)
    assert "| `distill.mu` | `0.7` | `0.2` | params.yaml |" in page
    assert "`distill@tiny_kd`" in page.split("## Stages")[1] and "plots/learning.svg" in page
    for picture in (checkout.path / "review/plots").iterdir():
        assert picture.read_bytes().lstrip().startswith((b"<svg", b"<?xml"))


def test_a_second_student_learns_from_the_same_logits(copy):
    """What the pages say it takes: a line in each table."""
    checkout = copy()
    row = {"kind": "model", "model": "half_kd", "asked": "models", "title": "half a teacher, KD"}
    checkout.add(
        "params.yaml",
        trained__shrink__half={"base": "sft", "blocks": 0.5},
        trained__distill__half_kd={"base": "half", "how": "teaching"},
        systems__half_kd=row,
        served__half_kd=row,
    )
    said = checkout.documented("dvc repro evaluate@<name>", name="half_kd")
    assert set(ran(said)) == {"resolve", "shrink@half", "distill@half_kd", "evaluate@half_kd"}
    assert set(ran(checkout.dvc("repro"))) == {"bench@half_kd", "report"}
    assert "half a teacher, KD" in (checkout.path / "metrics/results.md").read_text()


def test_a_clone_that_changes_one_stage_pulls_the_folders_it_reads(copy, tmp_path):
    """Stage report reads two folders of what others made."""
    remote = ["remote", "add", "--quiet", "--local", "--default", "shared", str(tmp_path / "remote")]
    first = copy()
    second = Checkout(tmp_path / "second", first.env)
    first.dvc(*remote)
    first.dvc("push", "--quiet")
    first.run("git", "clone", "--quiet", ".", str(second.path))
    second.dvc(*remote)
    second.edit("src/supertiny/report/tables.py", "# Results", "# Other results")
    assert ran(second.documented("dvc repro --pull")) == ["resolve", "report"]
    assert (second.path / "metrics/results.md").read_text().startswith("# Other results")
    there, here = ({path for path in one.outs() if path.startswith("data/results/")} for one in (first, second))
    assert there and there == here
