"""The pages under docs/ say what params.yaml and dvc.yaml hold, all of it and nothing else."""

import re
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).parents[2]
PAGES = ("README.md", "benchmarks/README.md", *sorted(f"docs/{path.name}" for path in (TOP / "docs").glob("*.md")))
TRAINED = ("sft", "shrink", "recover", "distill", "think", "rl", "quantize")
WHOLE = ("ablation", "systems", "served", "traces", "gates", *(f"trained.{table}" for table in TRAINED))
"""tables whose entries the user names"""


def leaves(value, name=""):
    """Dotted names of all parameters; a `fit` is one, since all are alike."""
    if isinstance(value, dict) and name not in WHOLE and name.split(".")[-1] != "fit":
        return [leaf for key, one in value.items() for leaf in leaves(one, f"{name}.{key}" if name else key)]
    return [name]


def first_cells(page):
    """What stands in code in the first cell of every row of its tables."""
    return re.findall(r"^\| `([^`]+)` \|", (TOP / "docs" / page).read_text(), re.MULTILINE)


def test_every_parameter_has_its_line_once_and_no_other_has_one():
    params = yaml.safe_load((TOP / "params.yaml").read_text())
    page = [name for name in first_cells("parameters.md") if name not in params["rl"]["fit"]]
    assert sorted(page) == sorted(leaves(params))


def test_every_optimizer_has_the_fields_that_the_page_says():
    params = yaml.safe_load((TOP / "params.yaml").read_text())
    fields = set(params["rl"]["fit"])
    assert fields <= set(first_cells("parameters.md"))
    training = params.pop("training")
    common = set(training.pop("common")["fit"])
    assert all(common.isdisjoint(how["fit"]) and common | set(how["fit"]) == fields for how in training.values())

    def fits(value):
        for key, one in value.items() if isinstance(value, dict) else ():
            yield from [one] if key == "fit" else fits(one)

    assert all(set(one) == fields for one in fits(params))


def test_every_stage_has_its_line_once_and_no_other_has_one():
    stages = yaml.safe_load((TOP / "dvc.yaml").read_text())["stages"]
    lines = re.findall(r"^\| (`[^|]+`) \|", (TOP / "docs" / "stages.md").read_text(), re.MULTILINE)
    assert sorted(name for line in lines for name in re.findall(r"`(\w+)`", line)) == sorted(stages)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page):
    """Dotted parameters of params.yaml or a profile, and files of the project."""
    text = (TOP / page).read_text()
    files = [yaml.safe_load((TOP / name).read_text()) for name in ("params.yaml", "profiles/cpu.yaml")]
    for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)(?:: [^`]*)?`", text):
        first = name.split(".")[0]
        if any(first in known for known in files) and first != "dvc":
            assert any(_has(known, name.split(".")) for known in files), name
    for path in re.findall(r"`((?:src|stages|benchmarks|profiles|docs|tests)/[\w/.]+)`", text):
        assert (TOP / path).exists(), path


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(page):
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)[^)]*\)", (TOP / page).read_text()):
        assert ((TOP / page).parent / target).exists(), target


def test_the_readme_is_short():
    assert len((TOP / "README.md").read_text().splitlines()) <= 200


def _has(section, keys):
    for key in keys:
        if not isinstance(section, dict) or key not in section:
            return False
        section = section[key]
    return True
