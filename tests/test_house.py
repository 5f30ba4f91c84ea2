"""The rules of the house: imports go down, dvc.yaml says what it runs, parameters mean the same to everyone.

Each rule is one test that lists all who break it.
"""

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tests.house import (
    PACKAGE,
    ROOT,
    calls,
    code_of,
    holds_code,
    imported,
    leaves,
    module_file,
    profiles,
    reached,
    script,
    stages,
    tree,
    yaml,
)

FLOORS = {
    **dict.fromkeys(("core",), 1),
    **dict.fromkeys(("model", "judge"), 2),
    **dict.fromkeys(("data", "measure", "sft", "retrieval", "baseline"), 3),
    **dict.fromkeys(("prototype", "distill", "compress", "rl", "report", "serve"), 4),
    **dict.fromkeys(("engines",), 5),
    **dict.fromkeys(("commands",), 6),
}
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(path for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")
HEAVY = {"torch", "transformers", "accelerate", "xgrammar"}
LIGHT = ("dataset", "resolve", "report")
"""scripts of stages that need no model"""
LIGHT_PACKAGES = ("core", "data", "judge", "report")
LINES, STAGES, FILES, README, NUMBERS, POSITIONAL = 300, 26, 190, 200, 300, 7
"""the most lines of dvc.yaml, stages in it, files with code in src and stages, lines of README.md, numbers of
metrics/summary.json, positional parameters of a function"""


def known(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str:
    """The package of a module; empty at the top."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def arrows() -> dict[tuple[str, str], list[str]]:
    """(package, package it imports) -> the imports."""
    found: dict[tuple[str, str], list[str]] = {}
    for module in MODULES:
        for name in imported(module):
            file = module_file(name)
            if file and room(file) and room(module) and room(file) != room(module):
                found.setdefault((room(module), room(file)), []).append(f"{known(module)} imports {name}")
    return found


def test_sixteen_packages_on_six_floors_and_imports_only_go_down():
    assert {room(module) for module in MODULES} - {""} == FLOORS.keys()
    found = arrows()
    up = [said for (one, other), lines in found.items() if FLOORS[other] > FLOORS[one] for said in lines]
    both = sorted(f"{one} and {other}" for one, other in found if (other, one) in found and one < other)
    glue = [known(module) for module in MODULES if any(name.startswith("stages") for name in imported(module))]
    assert (up, both, glue) == ([], [], []), "up; packages that import each other; src that imports glue"


def test_no_package_imports_a_private_name_of_another():
    wrong = []
    for module in [*MODULES, *SCRIPTS]:
        inside = room(module) if PACKAGE in module.parents else ""
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("supertiny"):
                other = node.module.split(".")[1] if node.module.count(".") else ""
                private = [alias.name for alias in node.names if alias.name.startswith("_")]
                hidden = [part for part in node.module.split(".") if part.startswith("_")]
                wrong += [f"{known(module)}: {node.module}: {name}" for name in private if other != inside]
                wrong += [f"{known(module)}: {node.module}" for _ in hidden]
    assert wrong == []


def test_what_needs_no_model_imports_no_heavy_package():
    """As Python itself says, of a process that has imported all of it."""
    names = [f"stages.{name}" for name in LIGHT]
    for path in (path for name in LIGHT_PACKAGES for path in (PACKAGE / name).rglob("*.py")):
        names.append(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"))
    code = f"import sys\nfor name in {names!r}: __import__(name)\nprint(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_stage_has_one_code_dep_which_is_its_scripts():
    wrong = {}
    for name, stage in stages().items():
        code = [dep for dep in stage["deps"] if dep.startswith(("data/code", "src", "stages"))]
        kinds = "-${item.kind}" if f"{script(stage)}-model" in reached() else ""
        wanted = [f"data/code/{script(stage)}{kinds}"] if name != "resolve" else ["stages", "src"]
        if code != wanted or (ROOT / f"stages/{script(stage)}.py") not in SCRIPTS or not stage.get("desc"):
            wrong[name] = code
    assert wrong == {}
    assert {script(stage) for stage in stages().values()} == {path.stem for path in SCRIPTS}, "a script no stage runs"


def test_every_stage_declares_the_parameters_that_its_code_reads():
    wrong = {}
    for name, stage in stages().items():
        if name == "resolve":
            continue
        ours, machine = set[str](), set[str]()
        for entry in stage.get("params", []):
            if isinstance(entry, dict):
                machine.update(key for keys in entry.values() for key in keys)
            else:
                ours.add(entry)
        read, asked = sections_read(stage)
        read, asked = read - ASIDE.get(name, set()), asked - ASIDE.get(name, set())
        missing = (read - tops(ours)) | (asked - {short(key) for key in machine})
        idle = (tops(ours) - read) | ({short(key) for key in machine} - asked)
        if missing or idle:
            wrong[name] = {"read, not declared": missing, "declared, not read": idle}
    assert wrong == {}


def test_what_a_command_names_is_a_dep_or_an_out():
    wrong = []
    for name, stage in stages().items():
        outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"]]
        known_paths = [*stage["deps"], *outs]
        for path in re.findall(r"(?<=[ =])(?:data/|metrics\b|\$\{item\.(?:rows|thoughts)\})[\w/.${}]*", stage["cmd"]):
            near = [one for one in known_paths if f"{one}/".startswith(f"{path}/") or f"{path}/".startswith(f"{one}/")]
            wrong += [] if near else [f"{name}: {path}"]
    assert wrong == []


def test_parameters_mean_the_same_to_dvc_and_to_omegaconf():
    wrong = []
    for path in ["params.yaml", *(f"profiles/{name}.yaml" for name in profiles())]:
        as_1_1 = OmegaConf.to_container(OmegaConf.load(ROOT / path))
        for (name, ours), (other, theirs) in zip(leaves(yaml(path)).items(), leaves(as_1_1).items(), strict=True):
            wrong += [] if (name, ours, type(ours)) == (other, theirs, type(theirs)) else [f"{path}: {name}"]
    assert wrong == []


def test_no_section_stands_in_params_and_in_a_profile():
    names = {key for name in profiles() for key in yaml(f"profiles/{name}.yaml")} - {"extends"}
    assert names & set(yaml("params.yaml")) == set()


def test_the_house_keeps_its_measures():
    readme, graph = ((ROOT / name).read_text().count("\n") for name in ("README.md", "dvc.yaml"))
    files = [path for path in [*MODULES, *(ROOT / "stages").glob("*.py")] if holds_code(path)]
    numbers = leaves(json.loads((ROOT / "metrics/summary.json").read_text()))
    found = (graph, len(stages()), len(files), readme, len(numbers))
    limits = (LINES, STAGES, FILES, README, NUMBERS)
    assert all(one <= most for one, most in zip(found, limits, strict=True)), f"{found}, at most {limits}"


def test_functions_are_short_and_take_few_positional_parameters():
    wrong = []
    for path in [*MODULES, *SCRIPTS]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                count = len([one for one in node.args.args if one.arg not in ("self", "cls")])
                command = node.name == "main"  # its parameters are options, given by name
                wrong += [f"{known(path)}: {node.name}: {length} lines"] if length >= 40 else []
                wrong += [f"{known(path)}: {node.name}: {count}"] if count > POSITIONAL and not command else []
    assert wrong == []


def test_every_stage_says_what_it_does_in_few_lines():
    wrong = []
    for path in SCRIPTS:
        body = {node.name: node for node in tree(path).body if isinstance(node, ast.FunctionDef)}
        lines = sum(1 for line in inspect.cleandoc(ast.unparse(body["main"])).splitlines() if line.strip())
        if not (ast.get_docstring(tree(path)) and ast.get_docstring(body["main"])) or lines > 30:
            wrong.append(f"{path.stem}: {lines}")
    assert wrong == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_no_file_names_a_machine():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    home = r"(?<![\w.:/}-])/(?:work|root|mnt|home/\w+|Users/\w+)/"
    host = r"(?:--)?(?:extra-)?index-url|find-links|://(?:localhost|127\.|10\.|192\.168\.)|pypi\.org/simple"
    wrong = []
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__).resolve() or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            wrong += [f"{name}, line {number}: {line.strip()[:120]}"] if re.search(f"{home}|{host}", line) else []
    assert wrong == []


def tops(keys: set[str]) -> set[str]:
    return {key.split(".")[0] for key in keys}


def short(key: str) -> str:
    """A declared or read key of the profile as far as it is compared: `sizes.evaluate.x` as `sizes.evaluate`."""
    parts = key.split(".")
    return ".".join(parts[:2]) if parts[0] in ("sizes", "engines") else parts[0]


ASIDE = {
    "recover": {"prompt", "pack", "sizes.sft"},
    "distill": {"sizes.general"},
    "thinker": {"sizes.general"},
}
"""stage -> what modules that it shares with other stages read for those alone: examples of the domain, general texts"""
LAYOUT = {"megatron", "openrlhf", "servers", "launch", "trtllm"}
"""sections of the profile that say where an engine works: no stage runs anew when they change"""


def sections_read(stage: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The top sections of params.yaml and the keys of the profile that a stage's code reads."""
    ours, machine = set[str](), set[str]()
    for file in code_of(script(stage)) - {PACKAGE / "core" / "config.py"}:
        for name in ("load", "load_each", "load_over"):
            for call in calls(file, name):
                if isinstance(call.func, ast.Name) and len(call.args) >= 2:
                    ours |= {part.split(".")[0] for part in literals(call.args[0])}
        for call in calls(file, "load_profile"):
            machine |= {short(part) for part in literals(call.args[0])} - {"engines"}
        ours |= {"seed" for call in calls(file, "seed") if ast.unparse(call) == "seed()"}
        if file == PACKAGE / "measure" / "systems.py" and script(stage) == "report":
            ours |= {"systems", "served", "trained", "traces"}  # `tables` reads them together
        machine |= {"profile" for _ in calls(file, "profile_path") if file.parent.name == "stages"}
        for call in calls(file, "chosen"):
            if ast.unparse(call.func) == "engines.chosen":
                words = [*call.args, *(word.value for word in call.keywords)]
                machine.add(f"engines.{ast.literal_eval(words[-1])}")
    return ours, machine - LAYOUT


def literals(node: ast.expr) -> list[str]:
    """The sections that a first argument names: "a.b", f"a.{name}", or a tuple of them."""
    if isinstance(node, ast.Tuple):
        return [part for one in node.elts for part in literals(one)]
    if isinstance(node, ast.JoinedStr):
        first: Any = node.values[0]
        return [first.value.rstrip(".")] if isinstance(first, ast.Constant) else []
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
