"""What no choice may rest on: the test and OOD queries, held against the whole graph and what the stages read."""

import re

from supertiny.commands.plan.graph import Stage, stages
from tests.house import ROOT, whole_params, yaml

LAST_LOOK = ("data/dataset/test.jsonl", "data/dataset/ood.jsonl")
MEASURES = {"evaluate", "bench", "retrieval", "report"}
"""scripts that may read them: they train nothing and choose nothing"""


def overlaps(one: str, other: str) -> bool:
    """Whether one path is the other, or in it."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def rest_on(graph: list[Stage], paths: tuple[str, ...]) -> set[str]:
    """The scripts of stages that read the paths, or a folder with them, or what a stage makes that does."""
    tainted, found = list(paths), dict[str, str]()
    while True:
        more = [s for s in graph if s.name not in found and any(overlaps(d, t) for d in s.deps for t in tainted)]
        if not more:
            return set(found.values())
        found |= {stage.name: stage.script for stage in more}
        tainted += [out for stage in more for out in stage.outs]


def test_nothing_that_trains_or_chooses_rests_on_test_or_ood():
    graph = stages(yaml("dvc.yaml"), whole_params())
    assert len(graph) > 40 and {"data/dataset"} == {out for s in graph if s.name == "dataset" for out in s.outs}
    assert rest_on(graph, LAST_LOOK) == MEASURES


def test_what_rests_on_a_file_is_found_through_folders_and_through_what_others_make():
    graph = [
        Stage("choose", "python -m stages.choose", ("out/best.json",), ("out/model",)),
        Stage("try@x", "python -m stages.try", ("data/dataset",), ("out/best.json",)),
        Stage("train", "python -m stages.train", ("data/dataset/train.jsonl",), ("out/other",)),
    ]
    assert rest_on(graph, LAST_LOOK) == {"choose", "try"}


def test_no_other_script_names_these_files():
    """DVC does not see what a script opens beside its dependencies."""
    named = {
        path.stem
        for path in (ROOT / "stages").glob("*.py")
        if re.search(r"test\.jsonl|ood\.jsonl|\"test\"|\"ood\"|read_splits", path.read_text())
    }
    assert named <= MEASURES
