"""Small models to quantize: of both architectures, tied and untied, with and without biases."""

import pytest

from supertiny.compress.config import QuantizationConfig
from supertiny.compress.vocab import trim_vocabulary
from supertiny.core.prompt import THINKS
from supertiny.model import checkpoint
from supertiny.model.batches import Branch, Pack
from tests.unit.compress.conftest import CORPUS, llama_tokenizer, qwen2_tokenizer, random_model

TEXT = "turn on the kitchen light"
CFG = QuantizationConfig(group_size=128, calibration_examples=6, damp=0.05)
SIZES = {"hidden_size": 64, "intermediate_size": 96}
"""32 is the largest size of a group that divides both"""
BASES = {"llama": (llama_tokenizer, True), "qwen2": (qwen2_tokenizer, False)}


@pytest.fixture(scope="session", params=BASES)
def base(request, tmp_path_factory):
    """A folder with a trimmed model that thinks; Llama's head is tied, Qwen2 has biases."""
    make, tied = BASES[request.param]
    full = make()
    model, tokenizer = trim_vocabulary(random_model(full, tied, layers=2, **SIZES), full, CORPUS)
    setattr(model.config, THINKS, True)
    folder = tmp_path_factory.mktemp(request.param) / "base"
    checkpoint.save(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="session")
def packs(base):
    encode = checkpoint.encoder(checkpoint.load_tokenizer(base))
    return [Pack(encode(text), (Branch(encode(" turn"), encode(" on")),) * 2) for text in CORPUS[:4]]
