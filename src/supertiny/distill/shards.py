"""One shard of the cache: a file that finds the bytes of a key without being read, and knows whether it is whole.

    magic, stamp of what it was made from | bytes of one response after another | entries, sorted by key
    | bucket starts | totals | sha256 of all before

Keys are hashes, so their leading bits part the entries into buckets of even size: a look-up reads one of them.
Only the entries of the shard in the making are in memory.
"""

import os
import struct
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from supertiny.core.errors import UserError
from supertiny.core.files import whole_file

MAGIC = b"stlogit1"
KEY_BYTES = STAMP_BYTES = 16
HEAD = len(MAGIC) + STAMP_BYTES
ENTRY = struct.Struct(f"<{KEY_BYTES}sIII")
"""key, where its bytes begin, how many they are, and its tokens"""
BUCKET = struct.Struct("<II")
TOTALS = struct.Struct("<QQQddQ")
BUCKET_ENTRIES = 32
CHUNK = 1 << 20
FULL = 1 << 31
"""bytes from which a shard takes no more, as its positions are 32 bits"""
REMEDY = "delete it and rerun the stage that stores the teacher's logits (`dvc repro`)"


class Totals(NamedTuple):
    """What a shard holds."""

    examples: int
    tokens: int
    kept: int
    """ids"""
    missing: float
    """sum over tokens of the probability that is not kept"""
    top1: float
    """sum over tokens of the most probable id's probability"""


def total(each: Sequence[Totals]) -> Totals:
    """What several hold together."""
    return Totals(
        sum(one.examples for one in each),
        sum(one.tokens for one in each),
        sum(one.kept for one in each),
        sum(one.missing for one in each),
        sum(one.top1 for one in each),
    )


class Found(NamedTuple):
    """Where a key's bytes are."""

    start: int
    size: int
    tokens: int


class ShardWriter:
    """Fills one shard; it appears under its name only when `finish` is through."""

    def __init__(self, path: Path, stamp: bytes) -> None:
        self.path, self.entries, self.totals = path, dict[bytes, Found](), Totals(0, 0, 0, 0.0, 0.0)
        self._open = ExitStack()
        self._file = self._open.enter_context(self._open.enter_context(whole_file(path)).open("wb"))
        self._hash, self.size = sha256(), 0
        self._write(MAGIC + stamp)

    def add(self, key: bytes, data: bytes, totals: Totals) -> None:
        """Append the bytes of one response, of which `totals` says what they hold."""
        self.entries[key] = Found(self.size, len(data), totals.tokens)
        self.totals = total([self.totals, totals])
        self._write(data)

    def finish(self) -> str:
        """Write the index, make the file whole, and give its sha256 (hex)."""
        index_at, keys = self.size, sorted(self.entries)
        self._write(b"".join(ENTRY.pack(key, *self.entries[key]) for key in keys))
        width = _bucket_bits(len(keys))
        first = np.array([_bucket(key, width) for key in keys], dtype=np.int64)
        self._write(np.searchsorted(first, np.arange((1 << width) + 1)).astype("<u4").tobytes())
        self._write(TOTALS.pack(*self.totals, index_at))
        self._write(self._hash.digest())
        self._file.flush()
        self._open.close()
        return self._hash.hexdigest()

    def discard(self, error: BaseException) -> None:
        """Leave nothing of the shard."""
        with suppress(OSError):  # on a full disk what the buffer still held does not fit either
            self._open.__exit__(type(error), error, error.__traceback__)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)


class Shard:
    """A whole shard, open for look-ups; its bytes are read by position, so a forked process can share it."""

    def __init__(self, path: Path, stamp: bytes, size: int | None = None) -> None:
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise UserError(f"{path} is missing; {REMEDY.removeprefix('delete it and ')}") from None
        self.size = os.fstat(self._file.fileno()).st_size
        head, tail = self.read(0, HEAD), self.read(self.size - 32 - TOTALS.size, TOTALS.size)
        if size not in (None, self.size) or len(tail) < TOTALS.size or not head.startswith(MAGIC):
            raise UserError(
                f"{path} is not the whole shard ({self.size} bytes{f' of {size}' if size else ''}); {REMEDY}"
            )
        if head[len(MAGIC) :] != stamp:
            raise UserError(f"{path} was made by another teacher or with other settings; {REMEDY}")
        *totals, self._index = TOTALS.unpack(tail)
        self.totals = Totals(*totals)
        self.digest = ""
        """sha256 (hex) of the file; known once `verify` is through"""
        self._bucket_bits = _bucket_bits(self.totals.examples)
        self._starts = self._index + self.totals.examples * ENTRY.size

    def find(self, key: bytes) -> Found | None:
        """Where the bytes of `key` are, if they are here."""
        at = self._starts + 4 * _bucket(key, self._bucket_bits)
        start, end = BUCKET.unpack(self.read(at, BUCKET.size))
        for entry in ENTRY.iter_unpack(self.read(self._index + start * ENTRY.size, (end - start) * ENTRY.size)):
            if entry[0] == key:
                return Found(*entry[1:])
        return None

    def read(self, start: int, size: int) -> bytes:
        """Bytes of the file."""
        return os.pread(self._file.fileno(), max(size, 0), max(start, 0))

    def verify(self, progress: Callable[[int], object]) -> None:
        """Hash the file, telling `progress` the bytes of each chunk; an error if they are not what was written."""
        seen = sha256()
        for start in range(0, self.size - 32, CHUNK):
            chunk = self.read(start, min(CHUNK, self.size - 32 - start))
            seen.update(chunk)
            progress(len(chunk))
        end = self.read(self.size - 32, 32)
        if seen.digest() != end:
            raise UserError(f"{self.path} is corrupt: its bytes are not those that were written; {REMEDY}")
        seen.update(end)
        self.digest = seen.hexdigest()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bucket_bits(num_entries: int) -> int:
    return min((num_entries // BUCKET_ENTRIES).bit_length(), 32)


def _bucket(key: bytes, width: int) -> int:
    return int.from_bytes(key[:4], "big") >> (32 - width)
