"""Which code each stage hangs on: its kind of system's, the chosen engines', and nobody else's."""

import re
import shutil

import pytest
import yaml

from supertiny.core.code import Tree
from supertiny.core.errors import UserError
from supertiny.engines import reach
from supertiny.engines.systems import KINDS
from tests.project import TOP

NATIVE = dict.fromkeys(("chat", "generate", "serve", "train", "logits", "rl"), "native")


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """Choose engines in a project of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "params.yaml").write_text("profile: here\n")

    def choose(**engines):
        (tmp_path / "profiles/here.yaml").write_text(yaml.safe_dump({"engines": NATIVE | engines}))

    choose()
    return choose


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A checkout that may be changed."""
    top = tmp_path_factory.mktemp("checkout")
    for name in ("src", "stages"):
        shutil.copytree(TOP / name, top / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return top


def files():
    """Script -> names of its files under src/supertiny, and those of stages/ as they are."""
    tree = Tree(TOP)
    return {
        name: {path.relative_to(TOP).as_posix().removeprefix("src/supertiny/") for path in paths}
        for name, paths in reach.reached(tree).items()
    }


def test_every_stage_has_a_hash_and_the_one_that_opens_systems_one_a_kind(chosen):
    stages = {path.stem for path in (TOP / "stages").glob("[a-z]*.py")}
    assert set(files()) == stages - {"evaluate"} | {f"evaluate-{kind}" for kind in KINDS}


def test_systems_of_one_kind_do_not_hang_on_the_code_of_another(chosen):
    found = files()
    model, traditional, prototype = (found[f"evaluate-{kind}"] for kind in ("model", "traditional", "prototype"))
    assert "engines/systems/model.py" in model and "engines/native/answer.py" in model
    assert not any(name.startswith(("baseline/", "prototype/")) for name in model)
    assert "engines/systems/traditional.py" in traditional and "baseline/system.py" in traditional
    assert not any(name.startswith(("prototype/", "engines/native/", "engines/servers/")) for name in traditional)
    assert "model/generate.py" not in traditional
    assert "prototype/prototype.py" in prototype and not any(name.startswith("baseline/") for name in prototype)
    assert not any(name.startswith("engines/systems/") and "served" in name for name in model | traditional | prototype)


def test_the_code_of_an_engine_counts_where_it_is_chosen(chosen):
    before = files()
    assert "engines/servers/kinds.py" not in set().union(*before.values())
    chosen(serve="vllm")
    after = files()
    assert "engines/servers/kinds.py" in after["bench"]
    assert {name for name in before if before[name] != after[name]} == {"bench"}, "answers are evaluated as before"


def test_megatron_is_reached_with_the_worker_that_it_starts_by_name(chosen):
    assert not any(name.startswith("engines/megatron/") for name in files()["sft"])
    chosen(train="megatron")
    found = files()
    for stage in ("sft", "distill", "recover", "thinker"):
        assert {"engines/megatron/train.py", "engines/megatron/worker/__main__.py"} <= found[stage]
        assert "engines/megatron/worker/trainer.py" in found[stage]
    assert not any(name.startswith("engines/megatron/") for name in found["rl"] | found["logits"] | found["baseline"])


def test_an_engine_that_is_named_in_a_script_counts_whoever_is_chosen(chosen):
    """The trained describer is no server's model."""
    chosen(chat="vllm")
    assert {"engines/servers/kinds.py", "engines/native/answer.py"} <= files()["retrieval"]


def test_what_changed_is_told_and_is_stale_where_it_is_reached(chosen, copied):
    tree, folder = Tree(copied), copied / "data/code"
    scripts = reach.stale(folder, tree)
    assert "dataset" in scripts and "evaluate-model" in scripts, "nothing is known yet"
    reach.write_codes(folder, tree)
    assert reach.stale(folder, tree) == []
    assert {path.name for path in folder.iterdir()} == {*scripts, reach.FILES}
    assert reach.explained(folder, tree, "dataset").endswith(f"dataset: the code is what {folder} says")
    loss = copied / "src/supertiny/distill/divergence.py"
    loss.write_text(loss.read_text() + "\nMORE = 1\n")
    new = copied / "src/supertiny/distill/new.py"
    new.write_text("ONE = 1\n")
    script = copied / "stages/distance.py"
    script.write_text(
        script.read_text().replace("\nfrom supertiny", "\nfrom supertiny.distill import new\nfrom supertiny", 1)
    )
    said = reach.explained(folder, tree, "distance").splitlines()
    states = {line.split()[1]: line.split()[0] for line in said[:-1]}
    assert states.pop("stages/distance.py") == states.pop("src/supertiny/distill/divergence.py") == "changed"
    assert states.pop("src/supertiny/distill/new.py") == "new" and set(states.values()) == {"same"}
    assert said[-1] == f"distance: the code is not what {folder} says"
    stale = reach.stale(folder, tree)
    assert {"distance", "distill"} <= set(stale) and not {"dataset", "baseline", "evaluate-traditional"} & set(stale)
    with pytest.raises(UserError, match=r"--explain: there is no 'evaluate' \(there are: ablation, .*evaluate-model"):
        reach.explained(folder, tree, "evaluate")


def test_wording_is_no_change(chosen, copied):
    tree, folder = Tree(copied), copied / "data/worded"
    reach.write_codes(folder, tree)
    loss = copied / "src/supertiny/distill/divergence.py"
    loss.write_text(loss.read_text() + "\n# said otherwise\n")
    assert reach.stale(folder, tree) == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import supertiny.nowhere", "supertiny.nowhere"),
        ("from supertiny import nowhere", "supertiny.nowhere"),
        ("from supertiny.core import nowhere", "supertiny.core.nowhere"),
        ("from supertiny.core.files import nothing", "supertiny.core.files.nothing"),
        ("from supertiny.core.files import read_json, nothing as read", "supertiny.core.files.nothing"),
        ("from supertiny.core.files.deeper import read", "supertiny.core.files.deeper.read"),
    ],
)
def test_an_import_of_what_is_not_there_is_refused_before_any_stage_works(chosen, copied, line, name):
    file, folder = copied / "src/supertiny/distill/loss.py", copied / "refused"
    before = file.read_text()
    try:
        file.write_text(f"{before}\n\ndef later():\n    {line}\n")
        with pytest.raises(UserError, match=rf"src/supertiny/distill/loss\.py: imports {re.escape(name)}, .* mend"):
            reach.write_codes(folder, Tree(copied))
        assert not folder.exists(), "and nothing is written"
    finally:
        file.write_text(before)
