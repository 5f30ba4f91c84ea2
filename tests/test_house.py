"""The rules of the house: imports go down, dvc.yaml says what it runs, parameters mean the same to everyone."""

import ast
import inspect
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from supertiny.core import config
from tests.house import (
    PACKAGE,
    ROOT,
    calls,
    engine_keys,
    expand,
    imported,
    leaves,
    module_file,
    profiles,
    reached,
    script,
    shortest,
    stages,
    tree,
    yaml,
)

DEFAULT = yaml("params.yaml")["profile"]
FLOORS = {"core": 1, "model": 2, "prompt": 2, "engines": 4, "plan": 5, "doctor": 5, "commands": 5}
CHAPTER = 3
"""floor of every other package"""
STAGES = {name: script(stage) for name, stage in stages().items()}
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
SCRIPTS = sorted(set(STAGES.values()))
FILES = [*(f"src/supertiny/{name}" for name in MODULES), *(f"stages/{path.name}" for path in SCRIPTS)]
HEAVY = {"torch", "transformers", "accelerate", "xgrammar"}


def floor(path: Path) -> int:
    parts = path.relative_to(PACKAGE).parts
    return FLOORS.get(parts[0], CHAPTER) if len(parts) > 1 else 0


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_go_down(module):
    for name in imported(PACKAGE / module):
        assert not name.startswith("stages"), f"{module} imports {name}, which is glue"
        if file := module_file(name):
            assert floor(file) <= floor(PACKAGE / module), f"{module} imports {name}, which is above it"


def test_packages_import_each_other_in_one_direction():
    below: dict[str, set[str]] = {}
    for module in MODULES:
        package = module.split("/")[0]
        files = [file for name in imported(PACKAGE / module) if (file := module_file(name))]
        below.setdefault(package, set()).update(file.relative_to(PACKAGE).parts[0] for file in files)
    for package, others in below.items():
        for other in others - {package, "__init__.py"}:
            assert package not in below[other], f"{package} and {other} import each other"


@pytest.mark.parametrize("package", ["core", "prompt", "data", "judge", "report", "review", "webpage"])
def test_light_packages_import_no_heavy_one(package):
    for module in (PACKAGE / package).rglob("*.py"):
        for file in {module, *reached(module, DEFAULT)}:
            heavy = {name.split(".")[0] for name in imported(file)} & HEAVY
            assert not heavy, f"{module.relative_to(ROOT)} reaches {file.relative_to(ROOT)}, which imports {heavy}"


@pytest.mark.parametrize("name", STAGES)
def test_dvc_yaml_declares_the_code_that_a_stage_runs(name):
    code = [dep for dep in stages()[name]["deps"] if dep.startswith(("src/", "stages/"))]
    wanted = [STAGES[name].relative_to(ROOT).as_posix(), *shortest(reached(STAGES[name], DEFAULT))]
    lines = "".join(f"      - {dep}\n" for dep in wanted)
    covered = {file for dep in code for file in expand(dep)}
    needed = {file for dep in wanted for file in expand(dep)}
    wrong = sorted(path.relative_to(ROOT).as_posix() for path in covered ^ needed)
    assert not wrong, f"deps of stage {name} in dvc.yaml miss or overstate {wrong}; its code is\n{lines}"
    assert len(code) == len(wanted), f"deps of stage {name} in dvc.yaml can be as short as\n{lines}"


@pytest.mark.parametrize("name", STAGES)
def test_dvc_yaml_declares_the_parameters_that_a_stage_reads(name):
    ours: set[str] = set()
    machine: set[str] = set()
    for entry in stages()[name].get("params", []):
        if isinstance(entry, dict):
            machine.update(key for keys in entry.values() for key in keys)
        else:
            ours.add(entry)
    sections, machine_sections = sections_read(stages()[name])
    assert tops(ours) == sections, f"stage {name}: params of dvc.yaml, and what its code reads of params.yaml"
    assert tops(machine) == machine_sections, f"stage {name}: params of dvc.yaml, and what its code reads of a profile"
    keys = engine_keys(tree(STAGES[name]))
    assert {key for key in machine if key.startswith("engines")} == {f"engines.{key}" for key in keys}


def test_report_depends_on_the_files_of_its_steps_and_of_the_models_in_params_alone():
    deps = set(stages()["report"]["deps"])
    params = yaml("params.yaml")
    models = params["systems"] | params["models"]
    logs = {f"data/logs/{model['log']}.csv" for model in models.values() if model["log"]}
    files = {f"data/results/{name}/{kind}.json" for name in models for kind in ("rates", "cost")}
    files |= {f"data/results/{name}/bench.json" for name in [*params["systems"], *params["bench"]["models"]]}
    steps = import_module("supertiny.report.page").STEPS
    wanted = {"data/dataset/stats.json", *files, *logs, *(f"data/results/{step.file}" for step in steps.values())}
    found = {dep for dep in deps if dep.startswith("data/")}
    assert found == wanted, "data deps of stage report in dvc.yaml, its steps, and the models of params.yaml"
    for step in steps.values():
        assert f"data/results/{step.file}" in stages()[step.stage]["outs"], "the stage that makes a step's file"


@pytest.mark.parametrize("path", ["params.yaml", *(f"profiles/{name}.yaml" for name in profiles())])
def test_parameters_mean_the_same_to_dvc_and_to_omegaconf(path):
    as_1_1 = OmegaConf.to_container(OmegaConf.load(ROOT / path))
    for (name, ours), (other, theirs) in zip(leaves(yaml(path)).items(), leaves(as_1_1).items(), strict=True):
        assert (name, ours, type(ours)) == (other, theirs, type(theirs)), f"{path}: {name} is read in two ways"


@pytest.mark.parametrize("profile", profiles())
def test_every_config_loads_with_every_profile(profile, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(re.sub(r"(?m)^profile: \w+", f"profile: {profile}", text))
    monkeypatch.chdir(tmp_path)
    config.seed()
    for path in SCRIPTS:
        stage = import_module(f"stages.{path.stem}")
        for loader in ("load", "load_profile"):
            for call in calls(path, loader):
                schema = getattr(stage, ast.unparse(call.args[1]))
                for name in named(call.args[0], path, yaml(f"profiles/{profile}.yaml")):
                    getattr(config, loader)(name, schema)
    import_module("supertiny.report.rows").model_configs()


def test_profiles_have_the_same_keys_and_share_none_with_params():
    keys = {profile: set(leaves(yaml(f"profiles/{profile}.yaml"))) for profile in profiles()}
    for profile, found in keys.items():
        assert found == keys[DEFAULT], f"profiles {profile} and {DEFAULT} differ in {sorted(found ^ keys[DEFAULT])}"
    for name in leaves(yaml("params.yaml")):
        for other in keys[DEFAULT]:
            apart = not f"{name}.".startswith(f"{other}.") and not f"{other}.".startswith(f"{name}.")
            assert apart, f"{name} is in params.yaml, {other} in the profiles"


@pytest.mark.parametrize("path", FILES)
def test_modules_and_functions_stay_short(path):
    lines = (ROOT / path).read_text().count("\n")
    assert lines < 300, f"{path}: {lines} lines; a noun is missing"
    for node in ast.walk(tree(ROOT / path)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length < 40, f"{path}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_stage_says_what_it_does(path):
    body = {node.name: node for node in tree(path).body if isinstance(node, ast.FunctionDef)}
    assert ast.get_docstring(tree(path)) and ast.get_docstring(body["main"])
    assert sum(1 for line in inspect.cleandoc(ast.unparse(body["main"])).splitlines() if line.strip()) <= 25


def test_every_stage_has_a_description():
    assert all(stage.get("desc") for stage in stages().values())


def test_no_file_names_a_machine():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    home = r"(?<![\w.:/}-])/(?:work|root|mnt|home/\w+|Users/\w+)/"
    host = r"(?:--)?(?:extra-)?index-url|find-links|://(?:localhost|127\.|10\.|192\.168\.)|pypi\.org/simple"
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__).resolve() or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            assert not re.search(f"{home}|{host}", line), f"{name}, line {number}: {line.strip()[:120]}"


def tops(keys: set[str]) -> set[str]:
    return {key.split(".")[0] for key in keys}


def sections_read(stage: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The top sections of params.yaml and of the profile that a stage and the modules under it read."""
    path, ours, machine = script(stage), set[str](), set[str]()
    for file in {path, *reached(path, DEFAULT)} - {PACKAGE / "core" / "config.py"}:
        loads = [call for name in ("load", "load_each") for call in calls(file, name)]
        ours |= {section(call.args[0], stage) for call in loads if is_section(call)}
        machine |= {section(call.args[0], stage) for call in calls(file, "load_profile")}
        ours |= {"seed" for call in calls(file, "seed") if ast.unparse(call) == "seed()"}
        ours |= {"profile" for _ in calls(file, "profile_path")}
    return ours | ({"profile"} if machine else set()), machine


def is_section(call: ast.Call) -> bool:
    """Whether a call of some `load` is the one of core.config: `load(section, Schema)`."""
    return isinstance(call.func, ast.Name) and len(call.args) == 2 and ast.unparse(call.args[1]).endswith("Config")


def named(node: ast.expr, path: Path, machine: dict[str, Any]) -> list[str]:
    """The section of "sft"; of f"student_models.{name}" every entry there is; of an option what the stages give it."""
    if isinstance(node, ast.JoinedStr):
        top = section(node, {})
        return [f"{top}.{name}" for name in (machine | yaml("params.yaml"))[top]]
    if isinstance(node, ast.Name):
        return [section(node, stage) for stage in stages().values() if script(stage) == path]
    return [ast.literal_eval(node)]


def section(node: ast.expr, stage: dict[str, Any]) -> str:
    """`sft` of "sft", of "sft.fit", of f"sft.{name}", and of a variable that the stage's command gives as an option."""
    if isinstance(node, ast.Name):
        found = re.search(rf"--{node.id} (\w+)", stage["cmd"])
        assert found, f"{stage['cmd']}: names no --{node.id}"
        return found[1]
    first: Any = node.values[0] if isinstance(node, ast.JoinedStr) else node
    return first.value.split(".")[0]
