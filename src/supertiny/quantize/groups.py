"""How many inputs of a layer share a scale."""

from collections.abc import Collection

from supertiny.core.errors import UserError

SIZES = (128, 64, 32)
"""what the int4 and int8 kernels of serving engines (Marlin) take"""


def group_size(wanted: int, inputs: Collection[int]) -> int:
    """The largest of `SIZES`, `wanted` at most, that divides the `inputs` of every layer: one size for the model.

    The paper's 128 does not divide 576 = 4.5 x 128. A shorter last group is read by GPTQModel's reference kernel alone;
    compressed-tensors and vLLM refuse it. So the whole model takes 64, as its checkpoint names one size only.

    >>> group_size(128, [576, 1536]), group_size(128, [896, 4864])
    (64, 128)
    """
    for size in SIZES:
        if size <= wanted and not any(number % size for number in inputs):
            return size
    raise UserError(
        f"quantization.group_size: no size of {', '.join(map(str, SIZES))} up to {wanted} divides all layers' inputs "
        f"({', '.join(map(str, sorted(set(inputs))))}); take scheme w8a8, which has no groups, or another width"
    )
