"""Hours and memory against values worked by hand."""

from dataclasses import replace

import pytest

from supertiny.commands.plan.hardware import (
    KNOWN,
    GpusConfig,
    Layout,
    Requests,
    Sized,
    activation_bytes,
    answering_s,
    kv_bytes,
    reading_gb,
    serving_gb,
    training_gb,
    training_s,
    weight_bytes,
)
from supertiny.core.errors import UserError
from supertiny.model.flops import ModelShape, gemm_flops

SHAPE = ModelShape(num_layers=1, hidden=2, head_dim=1, num_heads=2, num_kv_heads=1, intermediate=4, vocab=10)
TINY = Sized(SHAPE, True, "llama")
"""20 embedding, 2 * 2 * 3 + 3 * 2 * 4 + 2 * 2 in the block, 2 at the end: 62 weights"""
GPU = GpusConfig(count=8, memory_gb=80.0, tflops=1e-9, tb_s=1e-9, compute_share=0.5, bandwidth_share=0.25)
"""500 operations and 250 bytes a second"""
ONE = Layout(gpus=1, copies=1, at_once=4, context=10)


def test_training_takes_six_operations_a_weight_and_token():
    assert TINY.parameters == 62
    assert training_s(TINY, 100, 1, GPU) == pytest.approx(6 * 62 * 100 / 500)
    assert training_s(TINY, 100, 8, GPU, passes=1) == pytest.approx(2 * 62 * 100 / 500 / 8)


def test_writing_waits_for_memory_with_few_sequences_and_computes_with_many():
    asked = Requests(count=4, prompt=3, uncached=3, new=2)
    reading = 4 * gemm_flops(SHAPE, 3, 3, 1) / 500
    step_bytes = 62 * 2 + 4 * (4 * 1 * 1 * 1 * 5)  # weights once, keys and values of four sequences of five tokens
    assert weight_bytes(TINY) == 124 and kv_bytes(SHAPE, 5) == 20
    assert answering_s(TINY, asked, ONE, GPU) == pytest.approx(reading + 2 * step_bytes / 250)
    fast = replace(GPU, tb_s=1.0)
    whole = 4 * gemm_flops(SHAPE, 3, 3, 2) / 500
    assert answering_s(TINY, asked, ONE, fast) == pytest.approx(whole)
    assert answering_s(TINY, replace(asked, count=0), ONE, GPU) == 0


def test_twice_the_copies_take_half_as_long():
    asked = Requests(count=64, prompt=3, uncached=3, new=2)
    two = replace(ONE, copies=2, at_once=8)
    assert answering_s(TINY, asked, two, GPU) == pytest.approx(answering_s(TINY, asked, ONE, GPU) / 2)


def test_fewer_bits_are_read_faster():
    asked = Requests(count=1, prompt=3, uncached=1, new=8)
    assert answering_s(replace(TINY, bits=4), asked, ONE, GPU) < answering_s(TINY, asked, ONE, GPU)


def test_activations_of_a_block_by_hand():
    """4 x 2 of the norms; 4 of queries and of what attention gives, 2 of keys and of values, 4 x 8 of the FFN."""
    shape = ModelShape(num_layers=1, hidden=2, head_dim=2, num_heads=2, num_kv_heads=1, intermediate=8, vocab=4)
    assert activation_bytes(shape) == 2 * (4 * 2 + 4 + 4 + 2 + 2 + 4 * 8)
    assert activation_bytes(shape, 2) == 2 * (8 + 22)


def test_memory_of_a_7b_model():
    """16 bytes a weight to train it, of which eight GPUs hold an eighth each; 2 to serve it."""
    model = KNOWN["Qwen/Qwen2.5-7B-Instruct"]
    assert training_gb(model, 0, 1, False) == pytest.approx(121.85, abs=0.01)
    assert training_gb(model, 0, 8, False) == pytest.approx(15.23, abs=0.01)
    assert training_gb(model, 0, 8, False, a_weight=18) == pytest.approx(17.14, abs=0.01)
    activations = 196_608 * 16_384 * 28 / 1e9
    assert training_gb(model, 16_384, 8, False) == pytest.approx(15.23 + activations, abs=0.01)
    assert training_gb(model, 16_384, 8, True) == pytest.approx(15.23 + 2 * 3584 * 16_384 * 28 / 1e9, abs=0.01)
    assert reading_gb(model, 16_384) == pytest.approx(15.23 + activations / 28, abs=0.01)
    on = Layout(gpus=1, copies=1, at_once=1, context=1)
    assert serving_gb(model, on) == pytest.approx(15.23, abs=0.01)
    assert kv_bytes(model.shape, 1) == 2 * 28 * 4 * 128 * 2


@pytest.mark.parametrize("change", [{"count": 0}, {"compute_share": 0.0}, {"bandwidth_share": 1.5}, {"tflops": -1.0}])
def test_a_machine_that_cannot_be_is_refused(change):
    with pytest.raises(UserError, match=next(iter(change))):
        replace(GPU, **change)
