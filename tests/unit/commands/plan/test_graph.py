"""The graph as the plan reads it is the graph as DVC reads it."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from supertiny.commands.plan.graph import stages
from supertiny.core.errors import UserError
from tests.house import ROOT, whole_params, yaml


def test_every_stage_is_dvcs_with_its_command_and_files():
    with Repo(ROOT) as repo:
        theirs = {
            stage.addressing: (
                stage.cmd,
                {str(dep.fs_path).removeprefix(f"{ROOT}/") for dep in stage.deps if not hasattr(dep, "params")},
                {str(out.fs_path).removeprefix(f"{ROOT}/") for out in stage.outs},
            )
            for stage in repo.index.stages
            if stage.cmd
        }
    ours = {
        one.name: (one.command, set(one.deps), set(one.outs)) for one in stages(yaml("dvc.yaml"), yaml("params.yaml"))
    }
    assert ours == theirs and 35 < len(ours) <= 45


def test_a_stage_stands_behind_those_that_make_what_it_reads():
    made: set[str] = set()
    found = stages(yaml("dvc.yaml"), whole_params())
    every = {out for stage in found for out in stage.outs}
    for stage in found:
        for dep in stage.deps:
            parts = {str(part) for part in (Path(dep), *Path(dep).parents)}
            inside = {out for out in every if Path(dep) in Path(out).parents}
            assert (parts & every) | inside <= made, f"{stage.name} reads {dep}"
        made.update(stage.outs)


def test_a_parameter_that_is_not_there_and_a_circle_are_errors():
    loop = {
        "stages": {"a": {"cmd": "x", "deps": ["b"], "outs": ["a"]}, "b": {"cmd": "x", "deps": ["a"], "outs": ["b"]}}
    }
    with pytest.raises(UserError, match="a, b wait for one another"):
        stages(loop, {})
    with pytest.raises(UserError, match=r"\$\{rl.size\}: params.yaml has no such entry"):
        stages({"stages": {"a": {"cmd": "x ${rl.size}", "deps": [], "outs": []}}}, {"rl": {}})
