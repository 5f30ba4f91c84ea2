"""What is lost by rounding: bounded by the scale, and nothing else is touched."""

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from supertiny.compress.quantize import fp8_by_channel, int8_by_group
from supertiny.model.checkpoint import gptq_weight, to_e4m3

weights = st.integers(0, 2**20).map(
    lambda seed: torch.randn(5, 96, generator=torch.Generator().manual_seed(seed)) * 10 ** (seed % 7 - 4)
)


def read(made):
    """Weight and scale of layer `a`, by the library that serving engines use."""
    config = QuantizationConfig.model_validate(made.recipe)
    compressor, (scheme,) = BaseCompressor.get_value_from_registry(config.format), config.config_groups.values()
    parts = {part: made.tensors[f"a.{part}"] for part in compressor.compression_param_names(scheme)}
    return compressor.decompress(parts, scheme)["weight"], parts["weight_scale"]


def test_int8_worked_by_hand():
    weight, scale = read(int8_by_group({"a.weight": tensor([[127.5, 1.0, -255.0, 3.0]])}, ["a"], 2))
    assert scale.tolist() == [[1.0, 2.0]]  # 127.5 / 127.5, 255 / 127.5
    assert weight.tolist() == [[127.0, 1.0, -256.0, 4.0]]  # codes 127 (the largest), 1, -128 and 2 (halves to even)


def test_fp8_worked_by_hand():
    weight, scale = read(fp8_by_channel({"a.weight": tensor([[448.0, 17.0, -1.0], [0.0, 224.0, 19.0]])}, ["a"]))
    assert scale.tolist() == [[1.0], [0.5]]
    assert weight.tolist() == [[448.0, 16.0, -1.0], [0.0, 224.0, 20.0]]  # 38 = 9.5 x 4 is halved to even: 40, not 36


@given(weights, st.sampled_from([32, 96]))
def test_int8_is_off_by_half_a_scale_at_most(weight, group):
    found, scale = read(int8_by_group({"a.weight": weight}, ["a"], group))
    error = (found - weight).abs().unflatten(-1, (-1, group))
    assert (error <= scale[..., None] / 2 * (1 + 1e-4)).all()


@given(weights)
def test_fp8_is_off_by_a_sixteenth_at_most(weight):
    found, scale = read(fp8_by_channel({"a.weight": weight}, ["a"]))
    codes, own_scale = to_e4m3(weight)
    for before, after, of in ((weight, found, scale), (weight, codes.float() * own_scale, scale)):
        bound = torch.maximum(before.abs() / 16, of * 2**-10)  # 3 bits of mantissa; below 2^-6 steps of 2^-9
        assert ((after - before).abs() <= bound * (1 + 1e-4)).all()


def test_zeros_stay_zeros():
    for made in (
        int8_by_group({"a.weight": torch.zeros(2, 32)}, ["a"], 32),
        fp8_by_channel({"a.weight": torch.zeros(2, 32)}, ["a"]),
    ):
        assert not read(made)[0].any()


def test_other_tensors_stay_what_they_are():
    other = torch.randn(3, dtype=torch.bfloat16)
    for made in (
        int8_by_group({"a.weight": torch.ones(2, 32), "b": other}, ["a"], 32),
        fp8_by_channel({"a.weight": torch.ones(2, 32), "b": other}, ["a"]),
    ):
        assert made.tensors["b"] is other and made.recipe["ignore"] == ["lm_head"]


def test_gptq_codes_worked_by_hand():
    low, high = tensor(0x76543210, dtype=torch.int32), tensor(0xFEDCBA98 - 2**32, dtype=torch.int32)
    parts = {
        "qweight": torch.stack([low.expand(8), high.expand(8)]),  # codes of inputs 0 to 7, and 8 to 15
        "qzeros": tensor([[0x77777777], [0x76543210]], dtype=torch.int32),  # less one: 8 for all; 1 to 8
        "scales": torch.stack([torch.ones(8), torch.full((8,), 0.5)]).half(),
        "g_idx": tensor([0] * 8 + [1] * 8, dtype=torch.int32),
    }
    weight = gptq_weight(parts)
    assert weight.shape == (8, 16) and weight.dtype is torch.float32
    assert weight[0].tolist() == [*range(-8, 0), *(0.5 * (code - 1) for code in range(8, 16))]
    assert weight[7].tolist() == [*range(-8, 0), *(0.5 * (code - 8) for code in range(8, 16))]
