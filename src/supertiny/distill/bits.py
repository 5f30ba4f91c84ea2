"""Integers at their own width, bit after bit; the most significant first. Nothing here loops over a token.

Shapes: N integers, S of them in a row of sorted ones. A bit array is uint8 of zeros and ones.
"""

import numpy as np

WORD = 32
"""widest integer"""


def to_bits(values_N: np.ndarray, widths_N: np.ndarray) -> np.ndarray:
    """Each value at its width.

    >>> to_bits(np.array([5, 1]), np.array([3, 2])).tolist()
    [1, 0, 1, 0, 1]
    """
    words_N4 = np.ascontiguousarray(values_N, dtype=">u4").view(np.uint8).reshape(-1, 4)
    return np.unpackbits(words_N4, axis=1)[_used(widths_N)]


def from_bits(bits: np.ndarray, widths_N: np.ndarray) -> np.ndarray:
    """What `to_bits` laid out, from exactly those bits, in int64."""
    words_NW = np.zeros((len(widths_N), WORD), dtype=np.uint8)
    if len(widths_N) and np.all(widths_N == widths_N[0]):  # several times as fast, and most arrays are so
        width = int(widths_N[0])
        words_NW[:, WORD - width :] = bits.reshape(-1, width) if width else 0
    else:
        words_NW[_used(widths_N)] = bits
    return np.packbits(words_NW, axis=1).view(">u4").ravel().astype(np.int64)


def _used(widths_N: np.ndarray) -> np.ndarray:
    """Which bits [N, WORD] of each word are stored."""
    return np.arange(WORD) >= WORD - np.asarray(widths_N)[:, None]


def sorted_to_bits(values_N: np.ndarray, sizes: np.ndarray, width: int) -> np.ndarray:
    """Rows of `sizes` ascending values below 2**width, by Elias-Fano's code: at most S (3 + log2(2**width / S)) bits.

    The low bits of each value stand plainly; of the high ones stands the step from the value before, in unary.
    """
    low_N = np.repeat(_low_widths(sizes, width), sizes)
    high_N = values_N >> low_N
    before_N = np.roll(high_N, 1)
    before_N[_starts(sizes)] = 0
    unary = np.zeros(int((high_N - before_N).sum()) + len(values_N), dtype=np.uint8)
    unary[np.cumsum(high_N - before_N + 1) - 1] = 1
    return np.concatenate([to_bits(values_N & ((1 << low_N) - 1), low_N), unary])


def sorted_from_bits(bits: np.ndarray, sizes: np.ndarray, width: int) -> np.ndarray:
    """What `sorted_to_bits` laid out; bits behind it are not looked at."""
    low_N = np.repeat(_low_widths(sizes, width), sizes)
    split = int(low_N.sum())
    total_N = np.flatnonzero(bits[split:])[: len(low_N)] - np.arange(len(low_N))
    start = _starts(sizes)
    before = np.where(start > 0, total_N[start - 1], 0) if len(low_N) else start
    return (total_N - np.repeat(before, sizes) << low_N) | from_bits(bits[:split], low_N)


def _low_widths(sizes: np.ndarray, width: int) -> np.ndarray:
    """For rows of `sizes` values: floor(log2(2**width / size)), the code's best split; none is empty."""
    return np.frexp((1 << width) // sizes)[1].astype(np.int64) - 1


def _starts(sizes: np.ndarray) -> np.ndarray:
    return np.cumsum(sizes) - sizes
