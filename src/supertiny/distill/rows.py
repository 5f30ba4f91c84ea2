"""What is stored of the teacher for one response, and its bytes.

Shapes: T response tokens, N kept ids of all of them together (ragged: token t has `counts[t]`, one behind another).
"""

from dataclasses import dataclass, replace

import numpy as np

from supertiny.distill.config import FLOAT_BITS, LogitsConfig

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


@dataclass(frozen=True, slots=True)
class Rows:
    """The kept part of the teacher's distribution at every response token, and the mass of all that is not kept."""

    ids: np.ndarray
    """[N] int32, each token's most probable first"""
    log_probs: np.ndarray
    """[N] nats, not renormalised; stored as float16"""
    counts: np.ndarray
    """[T] int64, ids kept of each token; at least one"""
    log_rest: np.ndarray
    """[T] float16 nats, log of the probability of all other ids; as good as -inf (-65504) where there are none"""

    @property
    def missing(self) -> np.ndarray:
        """[T] probability that is not kept, float64."""
        return np.exp(self.log_rest.astype(np.float64))


def reconciled(rows: Rows) -> Rows:
    """The same in float32, such that 1 - sum of a token's kept probabilities is its stored rest.

    fp16 rounds a second token's .02 by up to 2e-5, which drowns a rest of 1e-6. So where the first token has more than
    half of the mass, it is read as what the others and the rest leave.
    """
    log_probs = rows.log_probs.astype(np.float64)
    if len(log_probs):
        first_T = np.cumsum(rows.counts) - rows.counts
        others_N = np.exp(log_probs)
        others_N[first_T] = 0
        taken_T = np.add.reduceat(others_N, first_T) + rows.missing
        log_probs[first_T] = np.where(taken_T < 0.5, np.log1p(-np.minimum(taken_T, 0.5)), log_probs[first_T])
    return replace(rows, log_probs=log_probs.astype(np.float32))


@dataclass(frozen=True, slots=True)
class RowFormat:
    """How wide each number of a row is."""

    vocabulary_size: int
    """ids are below it; padded rows do not count"""
    fewest: int
    most: int
    """ids kept of a token"""

    @classmethod
    def of(cls, cfg: LogitsConfig, vocabulary_size: int) -> "RowFormat":
        """The format of rows that `cfg` asks for."""
        return cls(vocabulary_size, min(cfg.min_k, vocabulary_size), min(cfg.top_k, vocabulary_size))

    @property
    def id_bits(self) -> int:
        """ceil(log2 V): 18 for Qwen2.5's 151,665 ids."""
        return (self.vocabulary_size - 1).bit_length()

    @property
    def count_bits(self) -> int:
        """Of a count less the smallest possible; none where all are the same."""
        return (self.most - self.fewest).bit_length()


def encode(rows: Rows, form: RowFormat) -> bytes:
    """The bytes of one response: counts, rests, ids, then log-probabilities, which never rise within a token."""
    _check(rows, form)
    num_tokens, num_kept = len(rows.counts), len(rows.ids)
    bits = [
        to_bits(rows.counts - form.fewest, np.full(num_tokens, form.count_bits)),
        to_bits(_code(rows.log_rest), np.full(num_tokens, FLOAT_BITS)),
        to_bits(rows.ids, np.full(num_kept, form.id_bits)),
        sorted_to_bits(_code(rows.log_probs), rows.counts, FLOAT_BITS),
    ]
    return np.packbits(np.concatenate(bits)).tobytes()


def decode(data: bytes, num_tokens: int, form: RowFormat) -> Rows:
    """What `encode` wrote of `num_tokens` tokens."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))

    def take(num: int, width: int) -> np.ndarray:
        nonlocal bits
        found, bits = from_bits(bits[: num * width], np.full(num, width)), bits[num * width :]
        return found

    counts = take(num_tokens, form.count_bits) + form.fewest
    log_rest = _float(take(num_tokens, FLOAT_BITS))
    ids = take(int(counts.sum()), form.id_bits).astype(np.int32)
    return Rows(ids, _float(sorted_from_bits(bits, counts, FLOAT_BITS)), counts, log_rest)


def _check(rows: Rows, form: RowFormat) -> None:
    counts, ids, log_probs = rows.counts, rows.ids, rows.log_probs.astype(np.float32)
    sound = len(rows.log_rest) == len(counts) and len(ids) == len(log_probs) == counts.sum()
    sound = sound and bool(np.all((counts >= form.fewest) & (counts <= form.most)))
    sound = sound and bool(np.all((ids >= 0) & (ids < form.vocabulary_size)))
    if sound:
        falls = np.diff(log_probs) <= 0
        falls[np.cumsum(counts)[:-1] - 1] = True  # from one token to the next
        sound = bool(np.all(log_probs <= 0) and np.all(rows.log_rest <= 0) and np.all(falls))
    if not sound:
        raise ValueError(f"rows do not fit {form}, or their log-probabilities are above 0, rise, or are not numbers")


def _code(log_probs: np.ndarray) -> np.ndarray:
    """fp16 without its sign: an integer that grows as the probability falls."""
    return log_probs.astype(np.float16).view(np.uint16).astype(np.int64) & 0x7FFF


def _float(codes: np.ndarray) -> np.ndarray:
    return -codes.astype(np.uint16).view(np.float16)
