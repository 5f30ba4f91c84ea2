import pytest
import torch

from supertiny.core.errors import UserError
from supertiny.model import hardware


@pytest.fixture(autouse=True)
def forget_the_trial():
    hardware._bfloat16_pays.cache_clear()
    yield
    hardware._bfloat16_pays.cache_clear()


def on_cpu(monkeypatch, has_instruction, bfloat16, float32):
    seconds = {torch.bfloat16: bfloat16, torch.float32: float32}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_instruction)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(hardware, "_product_seconds", seconds.__getitem__)


@pytest.mark.parametrize(
    ("has_instruction", "bfloat16", "float32", "chosen"),
    [
        (True, 1.0, 1.9, torch.bfloat16),
        (True, 1.0, 1.1, torch.float32),  # not worth its rounding
        (True, 1.9, 1.0, torch.float32),  # an instruction of half the rate
        (False, 1.0, 9.0, torch.float32),
    ],
)
def test_auto_takes_bfloat16_where_it_is_faster(monkeypatch, has_instruction, bfloat16, float32, chosen):
    on_cpu(monkeypatch, has_instruction, bfloat16, float32)
    assert hardware.compute_dtype("auto") is chosen


def test_a_named_precision_is_not_tried(monkeypatch):
    on_cpu(monkeypatch, True, None, None)  # a trial would fail on them
    assert hardware.compute_dtype("bfloat16") is torch.bfloat16
    assert hardware.compute_dtype("float32") is torch.float32


def test_a_trial_times_the_format_it_is_asked_for():
    assert 0 < hardware._product_seconds(torch.float32) < 5


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="precision: expected one of auto, float32, bfloat16, got 'half'"):
        hardware.compute_dtype("half")
