"""Every parameter is looked at before a stage works: all that stages read, every wrong one named."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir

import pytest

from supertiny.commands import settings
from supertiny.commands.settings import ALONE, ENTRIES, MACHINE, OVER, SECTIONS
from supertiny.core.code import Tree
from supertiny.core.errors import UserError
from supertiny.engines.reach import reached
from tests.house import ROOT, calls, profiles, yaml

SCHEMAS = {**SECTIONS, **ENTRIES, **dict.fromkeys(OVER)}


def read(loader: str) -> dict[str, str]:
    """Section -> schema, as the stages and what they reach read them by one of core.config's loaders."""
    with chdir(ROOT):
        files = {file for every in reached(Tree(ROOT)).values() for file in every}
    found = {}
    for call in (call for file in files for call in calls(file, loader) if len(call.args) == 2):
        if isinstance(call.func, ast.Name) and isinstance(call.args[1], ast.Name):
            found |= dict.fromkeys(sections(call.args[0]), call.args[1].id)
    return found


def sections(node: ast.expr) -> list[str]:
    """Of "distill" itself, of f"systems.{name}" what is before the name of the entry, with its dot."""
    first = node.values[0] if isinstance(node, ast.JoinedStr) else node
    return [first.value] if isinstance(first, ast.Constant) else []


def named(schemas: Mapping[str, type]) -> dict[str, str]:
    return {name: schema.__name__ for name, schema in schemas.items()}


def test_what_stages_read_is_looked_at_as_they_read_it():
    entries = {f"{name}.": schema for name, schema in ENTRIES.items()}
    assert read("load").items() <= named({**SECTIONS, **ENTRIES, **entries}).items()
    assert read("load_each").items() <= named(ENTRIES).items()
    found = read("load_profile")
    assert found.pop("sizes.evaluate.") == "SplitSizes"  # of one entry, as a system is asked
    assert found.items() <= named(MACHINE).items()
    assert read("load") and read("load_each") and found


def test_every_section_is_looked_at():
    assert list(settings.unread(yaml("params.yaml"), {*SCHEMAS, *ALONE})) == []
    assert list(settings.unread(yaml("profiles/cpu.yaml"), MACHINE)) == []
    tops = {name.split(".")[0] for name in SCHEMAS}
    assert tops | set(ALONE) == yaml("params.yaml").keys()
    assert {name.split(".")[0] for name in MACHINE} == yaml("profiles/cpu.yaml").keys()


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
    edit(project / "params.yaml", "  tiny: {base: sft, blocks: 0.8,", "  tiny: {base: sft, blocks: many,")
    edit(project / "profiles/cpu.yaml", "  bench: {requests: ", "  bench: {requests: about ")
    said = r"(?s)distill\.mu.*gates\.every.*ar_drop.*trained\.shrink\.tiny\.blocks.*cpu\.yaml: sizes\.bench\.requests"
    with pytest.raises(UserError, match=said):
        settings.refuse()
    assert [finding.what for finding in settings.findings({})] == ["parameters"] * 4


@pytest.mark.parametrize(
    ("old", "new", "reader"),
    [
        ("    w4a16: {base: p30,", "    w4a16: {base: p31,", "data/models/p31, which stage quantize@w4a16 reads"),
        ("    tiny_rft: {base: tiny,", "    tiny_rft: {base: tny,", "data/models/tny, which stage sft@tiny_rft reads"),
        ("model: w8a8, asked", "model: w9, asked", "data/models/w9, which stage evaluate@w8a8 reads"),
        ("    tiny: {base: sft,", "    tiny: {base: teacher,", "data/models/teacher, which stage shrink@tiny reads"),
        ("traces: {}", "traces: {mine: {policy: rl}}", "models/rl, which stage traces@mine"),
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
    edit(project / "params.yaml", "    w4a16: {base: p30,", "    w4a16: {base: mine,")
    (project / "data/models/mine").mkdir(parents=True)
    assert settings.wrong() == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("params.yaml", "\nbench:", "\nbanch: {}\nbench:", r"params\.yaml: banch: .*did you mean bench.*; mend it"),
        ("params.yaml", "\n  think:", "\n  thinks: {}\n  think:", r"params\.yaml: trained\.thinks: nothing reads it"),
        ("params.yaml", "  mu: 0.7 ", "  my: 0.7 \n  mu: 0.7 ", r"params\.yaml: distill\.my: Key 'my' not in"),
        (
            "params.yaml",
            "  answer: python ",
            "  answer: xml ",
            r"params\.yaml: prompt\.answer: Invalid value 'xml'.*json.*python",
        ),
        ("params.yaml", "  answer: python ", "  answer: null ", r"params\.yaml: prompt\.answer: "),
        ("params.yaml", "  answer: python ", "  answer: 1 ", r"params\.yaml: prompt\.answer: "),
        ("profiles/cpu.yaml", "\ntrain:", "\ntrian: {}\ntrain:", r"cpu\.yaml: trian: .*did you mean train.*; mend it"),
        ("profiles/cpu.yaml", "  rft: {", "  rtf: {}\n  rft: {", r"cpu\.yaml: sizes\.rtf: .*did you mean sizes\.rft"),
        ("profiles/cpu.yaml", "  launcher:", "  starter: 1\n  launcher:", r"cpu\.yaml: megatron\.starter: Key"),
        ("params.yaml", "p30_cut, how: recovery}", "p30_cut, how: rest}", r"trained\.distill\.p30\.how: .* no 'rest'"),
        ("params.yaml", "  sft: *sft", "  sft: *tiny_kd", r"params\.yaml: served\.sft: differs from systems\.sft"),
        ("params.yaml", "  think: {}", "  think: []", r"section 'trained\.think': expected"),
    ],
)
def test_a_key_that_nobody_reads_or_that_says_what_cannot_be_is_an_error(project, file, old, new, said):
    edit(project / file, old, new)
    assert any(re.search(said, one) for one in settings.wrong()), settings.wrong()


def test_a_profile_that_extends_itself_is_said_once(project):
    edit(project / "profiles/gpu.yaml", "extends: cpu", "extends: gpu")
    edit(project / "params.yaml", "profile: cpu ", "profile: gpu ")
    (said,) = settings.wrong()
    assert said.startswith("profiles/gpu.yaml: extends: gpu extends gpu: a profile cannot extend itself")


@pytest.mark.parametrize("params", ["[mine]", "[mine.size]", "[{params.yaml: [mine]}]", '["mine.${key}"]'])
def test_a_section_of_a_users_own_stage_is_known(project, params):
    edit(project / "params.yaml", "\nbench:", "\nmine: {size: 1}\nbench:")
    graph = (project / "dvc.yaml").read_text()
    assert settings.wrong()
    stage = f"\nstages:\n  mine: {{cmd: make, params: {params}}}\n"
    (project / "dvc.yaml").write_text(graph.replace("\nstages:\n", stage))
    assert settings.wrong() == []


def test_parameters_are_looked_at_without_an_extra_and_without_the_engines_of_a_plan():
    """Stage `resolve` has two seconds, and every project runs it."""
    wanted = (
        "torch",
        "transformers",
        "fastapi",
        "pydantic",
        "prometheus_client",
        "openai",
        "openvino",
        "dvc",
        "supertiny.commands.plan.page",
    )
    code = f"import sys, supertiny.commands.settings; print(*(one for one in {wanted} if one in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_stage_outside_its_environment_says_which_to_enter():
    """-S: a Python that finds no installed package, as where dvc is another environment's."""
    done = subprocess.run([sys.executable, "-S", "-m", "stages.report"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "has no package omegaconf" in done.stderr and "activate" in done.stderr and "Traceback" not in done.stderr
