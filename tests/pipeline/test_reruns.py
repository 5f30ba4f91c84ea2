"""What reruns after which change: DVC's own word for it, on the whole graph, without any stage's work but `resolve`."""

import operator
from collections.abc import Callable
from functools import reduce

import pytest

from tests.house import whole_params

from .conftest import Checkout, every_stage, ran, stage_of, stale

pytestmark = [pytest.mark.pipeline, pytest.mark.graph, pytest.mark.xdist_group("whole")]

SMOKE = "profiles/smoke.yaml"
DIVERGENCE = "src/supertiny/distill/divergence.py"


def of(*tables: str) -> set[str]:
    """The stages of every entry of tables of params.yaml."""
    params = whole_params()
    found = [(table, reduce(operator.getitem, table.split("."), params)) for table in tables]
    return {f"{stage_of(table)}@{name}" for table, entries in found for name in entries}


TAUGHT = of("trained.recover", "trained.distill")
"""stages with a teacher"""
LEARNS = TAUGHT | of("trained.sft", "trained.think")
"""stages of engine `train`"""


def code(path: str) -> Callable[[Checkout], None]:
    """Another line of code in a file."""
    return lambda checkout: appended(checkout, path, "CHANGED = 1\n")


def appended(checkout: Checkout, path: str, line: str) -> None:
    with (checkout.path / path).open("a") as file:
        file.write(f"\n\n{line}")


def of_no_account(checkout: Checkout) -> None:
    """A comment, the docstring of a module, and files that only other engines run."""
    appended(checkout, DIVERGENCE, "# a comment\n")
    text = (checkout.path / DIVERGENCE).read_text()
    (checkout.path / DIVERGENCE).write_text(text.replace('"""', '"""In other words: ', 1))
    for name in ("servers/kinds.py", "megatron/train.py", "megatron/worker/trainer.py", "openrlhf/rl.py"):
        code(f"src/supertiny/engines/{name}")(checkout)


def megatron(checkout: Checkout) -> None:
    """All of it was built by the other engine: so says the lock."""
    checkout.add(SMOKE, engines__train="megatron")
    checkout.documented("dvc repro resolve")
    checkout.dvc("commit", "--force", "--quiet")


def one_more(checkout: Checkout) -> None:
    """What the pages say it takes: a line in each table."""
    more = {"kind": "model", "model": "half_kd", "asked": "models", "title": "half a teacher, KD"}
    checkout.add(
        "params.yaml",
        trained__shrink__half={"base": "sft", "blocks": 0.5},
        trained__distill__half_kd={"base": "half", "how": "teaching"},
        systems__half_kd=more,
        served__half_kd=more,
    )


CHANGES: dict[str, tuple[Callable[[Checkout], None], set[str]]] = {
    "a comment and a docstring in distill/divergence.py; code of engines that the profile does not choose": (
        of_no_account,
        set(),
    ),
    "code of distill/divergence.py": (code(DIVERGENCE), {*LEARNS, "distance"}),
    "code of model/flops.py": (code("src/supertiny/model/flops.py"), of("trained.shrink") | {"report"}),
    "code of report/tables.py": (code("src/supertiny/report/tables.py"), {"report"}),
    "distill.mu": (lambda checkout: checkout.set("params.yaml", distill__mu=0.9), {*TAUGHT, "distance"}),
    "trained.shrink.tiny.blocks": (
        lambda checkout: checkout.set("params.yaml", trained__shrink__tiny__blocks=0.5),
        {"shrink@tiny", "report"},
    ),
    "the profile's generate.batch_size": (
        lambda checkout: checkout.add(SMOKE, generate__batch_size=3),
        of("traces", "systems", "served") | {"reject"},
    ),
    "a new model: a line in each of trained.shrink, trained.distill, systems, served": (
        one_more,
        {"shrink@half", "distill@half_kd", "evaluate@half_kd", "bench@half_kd", "report"},
    ),
    "profile: gpu": (lambda checkout: checkout.set("params.yaml", profile="gpu"), every_stage() - {"resolve"}),
}
"""change -> who makes it, the stages that DVC says it changes"""


@pytest.fixture(scope="module")
def site(whole_run, tmp_path_factory) -> Checkout:
    return whole_run[0].copied(tmp_path_factory.mktemp("reruns") / "site")


def after(site: Checkout, change: Callable[[Checkout], None]) -> set[str]:
    """The stages that a change makes stale; the site is as before afterwards."""
    try:
        change(site)
        said = ran(site.documented("dvc repro resolve"))
        assert said == ["resolve"]
        return stale(site)
    finally:
        site.run("git", "checkout", "--quiet", ".")


def test_what_reruns_after_which_change(site):
    found = {name: after(site, change) for name, (change, _) in CHANGES.items()}
    rows = [f"| {name} | {', '.join(sorted(stages)) or 'nothing'} |" for name, stages in found.items()]
    table = "\n".join(["| changed | runs, and what hangs on what comes out other |", "|:--|:--|", *rows])
    assert found == {name: stages for name, (_, stages) in CHANGES.items()}, f"\n{table}\n"


def test_the_code_of_another_engine_reruns_what_it_does_where_the_profile_chooses_it(site):
    assert after(site, lambda checkout: checkout.add(SMOKE, engines__train="megatron")) == LEARNS
    try:
        megatron(site)
        assert after(site, code("src/supertiny/engines/megatron/worker/trainer.py")) == LEARNS
    finally:
        site.run("git", "checkout", "--quiet", ".")
