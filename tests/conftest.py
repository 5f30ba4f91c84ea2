"""Small models that tests share: the real architectures at sizes of seconds."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import hypothesis
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

# speed is no property: beside other work anything is slow
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

FIRST = ("whole", "short", "init", "experiments", "small")
"""groups of tests that take minutes; the longest first, so that no worker is left alone with one at the end"""
TINY = "hidden_size=32,num_hidden_layers=2,num_attention_heads=4,num_key_value_heads=2,intermediate_size=64"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all of a module, unless the module is of a larger group: its fixtures are built once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.as_posix()))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    mark = item.get_closest_marker("xdist_group")
    group = mark.args[0] if mark else ""
    return FIRST.index(group) if group in FIRST else len(FIRST) + ("stages" not in item.path.parts)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2 checkpoint with the byte tokenizer."""
    from supertiny.model.sources import fetch

    folder = tmp_path_factory.mktemp("models") / "tiny"
    fetch(f"init:{TINY}", folder, online=False, seed=0)
    return folder


@pytest.fixture
def tiny(tiny_folder: Path) -> PreTrainedModel:
    from supertiny.model.checkpoint import load_model

    torch.manual_seed(0)
    return load_model(tiny_folder)


@pytest.fixture
def tokenizer(tiny_folder: Path) -> PreTrainedTokenizerBase:
    from supertiny.model.checkpoint import load_tokenizer

    return load_tokenizer(tiny_folder)
