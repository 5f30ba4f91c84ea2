"""Every parameter is looked at before a stage works: all that stages read, every wrong one named."""

import ast
import re
import shutil
import subprocess
import sys

import pytest

from supertiny.commands import settings
from supertiny.commands.settings import ENTRIES, MACHINE, MACHINE_ENTRIES, SECTIONS
from supertiny.core.errors import UserError
from tests.house import ROOT, calls, profiles, reached, script, stages, yaml

LOADERS = ("load", "load_each", "load_profile")


def read(loader: str) -> dict[str, str]:
    """Section -> schema, as the stages and what they reach read them by one of core.config's loaders."""
    scripts = {script(stage) for stage in stages().values()}
    files = {file for path in scripts for file in {path, *reached(path, "cpu")}}
    found = {}
    for call in (call for file in files for call in calls(file, loader) if len(call.args) == 2):
        if isinstance(call.func, ast.Name) and isinstance(call.args[1], ast.Name):
            found |= dict.fromkeys(sections(call.args[0]), call.args[1].id)
    return found


def sections(node: ast.expr) -> list[str]:
    """Of "distill" itself, of f"pruned.{name}" its top, of a variable what the stages' commands give it."""
    if isinstance(node, ast.Name):
        commands = " ".join(stage["cmd"] for stage in stages().values())
        return re.findall(rf"--{node.id} (\w+)", commands)
    first = node.values[0] if isinstance(node, ast.JoinedStr) else node
    return [first.value.split(".")[0]]


def named(schemas: dict[str, type]) -> dict[str, str]:
    return {name: schema.__name__ for name, schema in schemas.items()}


def test_what_stages_read_is_looked_at_as_they_read_it():
    assert read("load").items() <= named(SECTIONS | ENTRIES).items()
    assert read("load_each").items() <= named(ENTRIES).items()
    assert read("load_profile").items() <= named(MACHINE | MACHINE_ENTRIES).items()


def test_every_section_is_looked_at():
    assert SECTIONS.keys() | ENTRIES.keys() == yaml("params.yaml").keys() - {"seed", "profile", "students"}
    assert MACHINE.keys() | MACHINE_ENTRIES.keys() == yaml("profiles/cpu.yaml").keys()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The parameters of this project, in a folder and with a cache of their own."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("own", "massive", "general/instructions.jsonl"):  # what the graph reads and git has
        (tmp_path / "data" / name).mkdir(parents=True)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("profile", profiles())
def test_every_profile_of_the_project_is_right(project, profile):
    edit(project / "params.yaml", f"profile: {yaml('params.yaml')['profile']} ", f"profile: {profile} ")
    assert settings.wrong() == []


def test_every_wrong_section_is_named_in_one_error(project):
    edit(project / "params.yaml", "  mu: 0.7 ", "  mu: abc ")
    edit(project / "params.yaml", "  every: {ar_drop: 0.02,", "  every: {ar_drop: -1.0,")
    edit(project / "profiles/cpu.yaml", "  tiny: {layers: 20,", "  tiny: {layers: many,")
    with pytest.raises(UserError, match=r"(?s)distill\.mu.*gates\.every.*ar_drop.*cpu\.yaml: student_models\.tiny"):
        settings.refuse()
    assert [finding.what for finding in settings.findings({})] == ["parameters"] * 3


@pytest.mark.parametrize(
    ("old", "new", "reader"),
    [
        ("  w4a16: {base: p30,", "  w4a16: {base: p31,", "data/models/p31, which stage quantize@w4a16 reads"),
        ("  base: sft  ", "  base: stf  ", "data/models/stf, which stage prune@p20 reads"),
        (
            "  models: [sft, tiny_kd, p30]",
            "  models: [sft, tiny]",
            "data/results/tiny/answers.jsonl, which stage bench@tiny reads",
        ),
        ("  tiny: {of: sft", "  tiny: {of: teacher", "data/models/teacher, which stage student@tiny reads"),
    ],
)
def test_a_name_of_what_no_stage_makes_is_found_before_any_stage_works(project, old, new, reader):
    edit(project / "params.yaml", old, new)
    (said,) = settings.wrong()
    assert said.startswith("params.yaml: no stage makes ") and reader in said


@pytest.mark.parametrize(
    ("stage", "refused"),
    [
        ("{cmd: [make a, make b], metrics: [data/mine.json: {cache: false}]}", ""),
        ("{matrix: {size: [1, 2]}, cmd: 'make ${item.size}', outs: ['data/${item.size}']}", ""),
        ("{cmd: make, deps: [data/results/judge.json, data/judge.csv]}", "data/judge.csv, which stage mine reads"),
    ],
)
def test_a_users_own_stage_is_read_as_dvc_reads_it(project, stage, refused):
    graph = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(graph.replace("\nstages:\n", f"\nstages:\n  mine: {stage}\n"))
    assert [said for said in settings.wrong() if refused not in said] == []
    assert bool(settings.wrong()) == bool(refused)


def test_a_model_put_there_by_hand_is_known(project):
    edit(project / "params.yaml", "  w4a16: {base: p30,", "  w4a16: {base: mine,")
    (project / "data/models/mine").mkdir(parents=True)
    assert settings.wrong() == []


def test_what_was_right_is_not_looked_at_again_until_it_changes(project, monkeypatch):
    assert settings.findings({})[0].state == "ok"
    settings.refuse()
    monkeypatch.setattr(settings, "wrong", lambda: ["looked at"])
    settings.refuse()
    edit(project / "profiles/cpu.yaml", "  tiny: {layers: 20,", "  tiny: {layers: 19,")
    with pytest.raises(UserError, match="looked at"):
        settings.refuse()


def test_a_folder_without_parameters_is_left_to_the_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings.refuse()


def test_a_stage_outside_its_environment_says_which_to_enter():
    """-S: a Python that finds no installed package, as where dvc is another environment's."""
    done = subprocess.run([sys.executable, "-S", "-m", "stages.row"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "has no package ruamel" in done.stderr and "activate" in done.stderr and "Traceback" not in done.stderr
