"""Fine-tuning and distillation by real Megatron-Core workers, two on gloo, against the native engine."""

import copy
import csv
import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from stages import distill, logits, sft, shrink
from supertiny.core.errors import UserError
from supertiny.model.checkpoint import load_config
from tests.house import ROOT
from tests.project import bytes_of, have_base, have_dataset, smoke_project

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(find_spec("megatron") is None, reason="Megatron-Core is not installed"),
]

DATA, MODELS, LOGS = Path("data/dataset"), Path("data/models"), Path("data/logs")
RESUME = Path("cache/supertiny/resume")
LEARNING = {"rows": DATA / "train.reference.jsonl", "data": DATA}
TEXTS = Path("data/general/instructions.jsonl")
LAYOUTS = {
    "tensor": {"tensor_parallel": 2},
    "pipeline": {"pipeline_parallel": 2, "micro_batches": 2},
    "data": {"processes": 2},
}
TORCHRUN = "{python} -m torch.distributed.run --standalone --nproc-per-node {processes}"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a model fine-tuned by the native engine, its logits, and a student taught by it."""

    def change(params, profile):
        params["training"]["sft"] |= {
            "epochs": 2,
            "dev_points": 2,
            "groups_a_step": 4,
            "frozen": {"embeddings": True, "blocks": 0.5},
        }
        params["training"]["teaching"] |= {
            "epochs": 2,
            "groups_a_step": 4,
            "frozen": {"embeddings": False, "blocks": 0.0},
        }
        params["pack"] |= {"group_size": 2, "function_dropout": 0.3}
        learns = {"epochs": 1, "dev_points": 2, "frozen": {"embeddings": False, "blocks": 0.5}}
        params["training"]["general"] |= learns
        params["trained"]["shrink"] = {"narrow": {"base": "student", "channels": 0.75, "trim_vocabulary": False}}
        profile["sizes"]["general"] = {"examples": 40, "dev_examples": 4}
        profile["sizes"]["sft"] = {"examples": 24, "dev_examples": 6}
        profile["base"]["llm"] += ",vocab_size=320"
        profile["base"]["student"] += ",vocab_size=384"

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("llm", "student")
        fine_tune("sft")
        logits.main(**LEARNING, teacher=MODELS / "sft", out=Path("data/logits"), report=Path("data/logits.json"))
        made = {"texts": TEXTS, "out": MODELS / "narrow", "search": Path("data/search.json")}
        shrink.main("narrow", MODELS / "student", **LEARNING, **made)
        teach("kd")
        yield folder


def fine_tune(name):
    sft.main("sft", MODELS / "llm", **LEARNING, out=MODELS / name, log=LOGS / f"{name}.csv")


def teach(name):
    written = {"out": MODELS / name, "log": LOGS / f"{name}.csv"}
    distill.main("tiny_kd", MODELS / "narrow", Path("data/logits"), **LEARNING, **written)


def correct(name):
    sft.main("general_teacher", MODELS / "llm", TEXTS, DATA, MODELS / name, LOGS / f"{name}.csv")


@contextmanager
def megatron(processes=1, save_minutes=60.0, launcher=None, **section):
    """Inside, the profile has Megatron-Core train, on so many copies of the model."""
    path = Path("profiles/smoke.yaml")
    kept = path.read_text()
    profile = copy.deepcopy(yaml.safe_load(kept))
    profile["engines"]["train"] = "megatron"
    profile["train"] |= {"processes": processes, "save_minutes": save_minutes}
    profile["megatron"] |= section | {"launcher": launcher or TORCHRUN + " {worker}"}
    path.write_text(yaml.safe_dump(profile))
    try:
        yield
    finally:
        path.write_text(kept)


def curve(name):
    with (LOGS / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def assert_alike(name, native):
    """The same run, but for rounding: its log row by row, and the model that came of it."""
    rows, expected = curve(name), curve(native)
    assert len(rows) == len(expected) > 4
    for row, other in zip(rows, expected, strict=True):
        assert row.keys() == other.keys()
        assert (row["step"], row["learning_rate"]) == (other["step"], other["learning_rate"])
        assert float(row["loss"]) == pytest.approx(float(other["loss"]), abs=5e-5)
        assert float(row["grad_norm"]) == pytest.approx(float(other["grad_norm"]), rel=2e-3)
        assert (row["dev_loss"] == "") == (other["dev_loss"] == "")
        assert float(row["dev_loss"] or 0) == pytest.approx(float(other["dev_loss"] or 0), abs=5e-5)
    trained, wanted = (load_file(MODELS / one / "model.safetensors") for one in (name, native))
    assert trained.keys() == wanted.keys()
    for one, value in wanted.items():
        torch.testing.assert_close(trained[one], value, atol=3e-5, rtol=1e-3)
    files = bytes_of(MODELS / native).keys()
    assert bytes_of(MODELS / name).keys() == files
    same = files - {"model.safetensors"}
    assert all((MODELS / name / file).read_bytes() == (MODELS / native / file).read_bytes() for file in same)


@pytest.mark.parametrize("kind", ["tensor", "pipeline"])
def test_fine_tuning_comes_to_the_native_engines_model(project, kind):
    """With the embeddings and the first of two blocks frozen: one of two stages has nothing to learn."""
    with megatron(**LAYOUTS[kind]):
        fine_tune(f"sft_{kind}")
    assert_alike(f"sft_{kind}", "sft")
    before, after = (load_file(MODELS / one / "model.safetensors") for one in ("llm", f"sft_{kind}"))
    same = {one for one in before if torch.equal(before[one], after[one])}
    assert same == {one for one in before if "embed_tokens" in one or ".layers.0." in one}
    assert not list(RESUME.iterdir()), "nothing is left of a run that ended well"


def test_a_teachers_correction_comes_to_the_native_engines_model(project):
    """General texts (paper App. I): packs of whole conversations, a step each."""
    TEXTS.parent.mkdir()
    shutil.copy(ROOT / TEXTS, TEXTS)
    correct("general")
    with megatron(**LAYOUTS["tensor"]):
        correct("general_tensor")
    assert_alike("general_tensor", "general")


@pytest.mark.parametrize("kind", ["tensor", "data"])
def test_distillation_comes_to_the_native_engines_student(project, kind):
    """Of the student's 384 rows, 192 on each of two processes, 257 are ids; its tied embeddings learn too."""
    config = load_config(MODELS / "narrow")
    assert config.vocab_size == 384 and config.tie_word_embeddings
    with megatron(**LAYOUTS[kind]):
        teach(f"kd_{kind}")
    assert_alike(f"kd_{kind}", "kd")


def test_a_killed_run_goes_on_in_another_layout_or_says_why_it_cannot(project, capfd, tmp_path):
    """Two saved steps on two stages of a pipeline, the rest on two processes that share each matrix."""
    dies = Path(__file__).with_name("megatron_dies.py")
    with (
        megatron(**LAYOUTS["pipeline"], save_minutes=1e-9, launcher=f"{TORCHRUN} {dies} {{job}}"),
        pytest.raises(UserError, match="ended with status 1; .* training goes on from its last saved state"),
    ):
        fine_tune("resumed")
    assert "power cut" in capfd.readouterr().err
    assert not (MODELS / "resumed").exists()
    (scratch,) = RESUME.glob("megatron-resumed-*")
    shutil.copytree(scratch, tmp_path / "torn")
    with megatron(**LAYOUTS["tensor"]):
        fine_tune("resumed")
    assert "resuming after step 2" in capfd.readouterr().out
    assert_alike("resumed", "sft")

    shutil.rmtree(MODELS / "resumed")
    shutil.copytree(tmp_path / "torn", scratch)
    (state,) = scratch.glob("state/step-*")
    for shard in state.glob("*.distcp"):
        shard.write_bytes(shard.read_bytes()[:100])
    with megatron(), pytest.raises(UserError, match=r"step-00000002: cannot resume from it .* delete it to start over"):
        fine_tune("resumed")
    shutil.rmtree(scratch)
    assert not (MODELS / "resumed").exists()
