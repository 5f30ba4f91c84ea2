import pytest

from supertiny.compress.config import SIZES, QuantizationConfig, QuantizedConfig
from supertiny.compress.quantize import group_size
from supertiny.core.errors import UserError


@pytest.mark.parametrize(
    ("wanted", "inputs", "found"),
    [(128, [128, 256], 128), (128, [576, 1536], 64), (64, [128, 256], 64), (128, [96, 128], 32), (32, [128], 32)],
)
def test_the_largest_size_that_divides_every_layer_is_taken(wanted, inputs, found):
    assert group_size(wanted, inputs) == found


def test_a_width_that_nothing_divides_is_an_error_that_names_it():
    with pytest.raises(UserError, match=r"group_size: no size of 128, 64, 32 up to 128 .*\(64, 80\); take scheme w8a8"):
        group_size(128, [80, 64, 80])


def test_unknown_schemes_and_sizes_are_errors_that_name_the_known_ones():
    with pytest.raises(UserError, match="scheme: expected one of w8a16, w4a16, w8a8, got 'w2a2'"):
        QuantizedConfig(base="tiny", scheme="w2a2")
    with pytest.raises(UserError, match="group_size: expected one of 128, 64, 32, got 100"):
        QuantizationConfig(group_size=100, calibration_examples=1, damp=0.1)
    for damp, examples in ((0.0, 1), (1.0, 1), (0.1, 0)):
        with pytest.raises(UserError):
            QuantizationConfig(group_size=SIZES[0], calibration_examples=examples, damp=damp)
