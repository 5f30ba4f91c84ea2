"""The teacher's logits, computed once for all students: shards of rows by content key, and a manifest (section 8).

Neither writing nor reading holds more in memory than the entries of one shard and the rows of one response.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from supertiny.core.errors import UserError
from supertiny.core.files import digest, read_json, write_json
from supertiny.distill.config import LogitsConfig
from supertiny.distill.rows import RowFormat, Rows, decode, encode, reconciled
from supertiny.distill.shards import FULL, KEY_BYTES, REMEDY, STAMP_BYTES, Shard, ShardWriter, Totals, total
from supertiny.model.vocab import Alignment, Vocabulary, align

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherIdentity:
    """Whose logits they are, and what their ids mean."""

    weights_sha256: str
    vocabulary: Vocabulary
    """the real one"""
    padded_size: int
    """rows of the teacher's head"""

    def to_json(self) -> dict[str, Any]:
        """As the manifest holds it; `kept_ids` is null unless the teacher's own vocabulary is trimmed."""
        ids = self.vocabulary.ids
        return {
            "weights_sha256": self.weights_sha256,
            "tokenizer_sha256": self.vocabulary.tokenizer_sha256,
            "vocabulary_size": len(ids),
            "padded_vocabulary_size": self.padded_size,
            "kept_ids": None if isinstance(ids, range) else " ".join(map(str, ids)),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What `to_json` gave."""
        kept = value["kept_ids"]
        ids = range(value["vocabulary_size"]) if kept is None else [int(one) for one in kept.split()]
        vocabulary = Vocabulary(value["tokenizer_sha256"], ids)
        return cls(
            weights_sha256=value["weights_sha256"], vocabulary=vocabulary, padded_size=value["padded_vocabulary_size"]
        )


def content_key(prompt_ids: Sequence[int], response_ids: Sequence[int]) -> bytes:
    """The 16 bytes that a response to a prompt is found by, both in the teacher's token ids."""
    sizes = np.array([len(prompt_ids)], dtype="<u4")
    ids = np.array([*prompt_ids, *response_ids], dtype="<u4")
    return sha256(sizes.tobytes() + ids.tobytes()).digest()[:KEY_BYTES]


def in_batch(key: bytes, batch: str) -> bytes:
    """The key of the same response as it was computed in one batch, of which `batch` is a digest."""
    return sha256(key + batch.encode()).digest()[:KEY_BYTES]


class CacheWriter:
    """Fills a cache, shard by shard. Where an earlier writer was killed it goes on behind its last whole shard.

    Add the same responses in the same order as the first time, or leave out those that are already in it:
    the bytes come out the same. An error inside `with` leaves the whole shards, and no manifest.
    """

    def __init__(self, folder: Path, teacher: TeacherIdentity, cfg: LogitsConfig, shard_tokens: int) -> None:
        self.folder, self.shard_tokens = folder, shard_tokens
        self.about = {"format": FORMAT, "teacher": teacher.to_json(), "logits": asdict(cfg)}
        self._form = RowFormat.of(cfg, len(teacher.vocabulary.ids))
        self._shards: list[Shard] = []
        self._listed: list[dict[str, Any]] = []
        self._current: ShardWriter | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in count():
            path = self.folder / _name(number)
            if not path.exists():
                return self
            shard = self._open.enter_context(Shard(path, _stamp(self.about)))
            _hash_all([shard])
            self._take(shard)
        raise AssertionError  # `count` has no end

    def __contains__(self, key: bytes) -> bool:
        """Whether the rows of `key` are already here, so that its forward pass can be left out."""
        here = self._current is not None and key in self._current.entries
        return here or any(shard.find(key) for shard in self._shards)

    def add(self, key: bytes, rows: Rows) -> None:
        """Store the rows of one response; a key that is already here is left as it is."""
        if key in self:
            return
        data, size = encode(rows, self._form), len(rows.counts)
        first = rows.log_probs[np.cumsum(rows.counts) - rows.counts].astype(np.float64)
        totals = Totals(1, size, len(rows.ids), float(rows.missing.sum()), float(np.exp(first).sum()))
        try:
            self._current = self._current or ShardWriter(self.folder / _name(len(self._shards)), _stamp(self.about))
            self._current.add(key, data, totals)
            if self._current.totals.tokens >= self.shard_tokens or self._current.size >= FULL:
                self._finish()
        except OSError as error:
            raise self._no_room(error) from error

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._open:
            try:
                if error is None:
                    if self._current:
                        self._finish()
                    write_json(self.folder / MANIFEST, self.about | {"shards": self._listed})
            except OSError as failed:
                error = self._no_room(failed)
                raise error from failed
            finally:
                if self._current:
                    self._current.discard(error or UserError())

    def _finish(self) -> None:
        assert self._current
        path, made = self._current.path, self._current.finish()
        self._current = None
        shard = self._open.enter_context(Shard(path, _stamp(self.about)))
        shard.digest = made
        self._take(shard)

    def _take(self, shard: Shard) -> None:
        self._shards.append(shard)
        self._listed.append(
            {"name": shard.path.name, "sha256": shard.digest, "bytes": shard.size, **shard.totals._asdict()}
        )

    def _no_room(self, error: OSError) -> UserError:
        return UserError(
            f"{self.folder}: cannot be written: {error.strerror}; make room and rerun, {len(self._shards)} whole "
            "shards are kept"
        )


class CacheReader:
    """A whole cache, checked: every shard's bytes are hashed at opening, before anything is trained on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            manifest = read_json(folder / MANIFEST)
            self.about = {name: manifest[name] for name in ("format", "teacher", "logits")}
            self.teacher = TeacherIdentity.from_json(manifest["teacher"])
            self.cfg = LogitsConfig(**manifest["logits"])
            listed = [(one["name"], one["bytes"], one["sha256"]) for one in manifest["shards"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{folder / MANIFEST} is no manifest of this program ({error!r}); {REMEDY}") from None
        if manifest["format"] != FORMAT:
            raise UserError(f"{folder}: format {manifest['format']} is not the one read here ({FORMAT}); {REMEDY}")
        self._form = RowFormat.of(self.cfg, len(self.teacher.vocabulary.ids))
        with ExitStack() as opening:
            stamp = _stamp(self.about)
            self.shards = [opening.enter_context(Shard(folder / name, stamp, size)) for name, size, _ in listed]
            _hash_all(self.shards)
            for shard, (_, _, made) in zip(self.shards, listed, strict=True):
                if shard.digest != made:
                    raise UserError(f"{shard.path} is whole, but not the shard that the manifest lists; {REMEDY}")
            self._open = opening.pop_all()

    @property
    def temperature(self) -> float:
        """What the teacher's logits were divided by."""
        return self.cfg.temperature

    def align(self, student: Vocabulary) -> Alignment:
        """The student's ids beside the cached teacher's; another tokenizer is an error that names both."""
        try:
            return align(student, self.teacher.vocabulary)
        except UserError as error:
            raise UserError(f"{self.folder}: {error}") from None

    def __contains__(self, key: bytes) -> bool:
        return any(shard.find(key) for shard in self.shards)

    def read(self, key: bytes) -> Rows:
        """The rows of one response, log-probabilities in float32 (`reconciled`)."""
        return reconciled(self.stored(key))

    def stored(self, key: bytes) -> Rows:
        """The same as they were written."""
        for shard in self.shards:
            if found := shard.find(key):
                return decode(shard.read(found.start, found.size), found.tokens, self._form)
        raise UserError(
            f"{self.folder} has no logits for one of the prompts with its response: it was made from other examples, "
            "or with other prompts; rerun the stage that stores the teacher's logits (`dvc repro`)"
        )

    def close(self) -> None:
        """Let go of the files."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def summary(reader: CacheReader) -> dict[str, Any]:
    """What a cache takes and misses. Bytes are of all its files: rows, keys, index and manifest."""
    totals = total([shard.totals for shard in reader.shards])
    num_bytes = sum(shard.size for shard in reader.shards) + (reader.folder / MANIFEST).stat().st_size
    tokens = max(totals.tokens, 1)
    return {
        "examples": totals.examples,
        "tokens": totals.tokens,
        "shards": len(reader.shards),
        "bytes": num_bytes,
        "bytes_per_token": round(num_bytes / tokens, 3),
        "ids_per_token": round(totals.kept / tokens, 3),
        "missing_mass": totals.missing / tokens,
        "top1_probability": round(totals.top1 / tokens, 6),
        **reader.about["logits"],
    }


def _name(number: int) -> str:
    return f"shard-{number:05d}.bin"


def _stamp(about: dict[str, Any]) -> bytes:
    """What every shard of one teacher with one setting begins with."""
    return bytes.fromhex(digest(about))[:STAMP_BYTES]


def _hash_all(shards: Sequence[Shard]) -> None:
    total = sum(shard.size for shard in shards)
    with tqdm(total=total, desc="checking the teacher's logits", unit="B", unit_scale=True, delay=2) as bar:
        for shard in shards:
            shard.verify(bar.update)


LEAST = float(np.finfo(np.float16).min)
"""log of a probability that is as good as none; e to its power is 0"""


def real_log_probs(logits_NP: Tensor, vocabulary_size: int, temperature: float) -> Tensor:
    """Log-probabilities [N, vocabulary_size] in fp32: padded vocabulary rows are cut before the softmax."""
    if logits_NP.shape[-1] < vocabulary_size:
        raise UserError(
            f"the teacher scores {logits_NP.shape[-1]} tokens, its tokenizer has {vocabulary_size}: "
            "they do not belong together; make the teacher again with its own tokenizer"
        )
    return (logits_NP[..., :vocabulary_size].float() / temperature).log_softmax(-1)


def nucleus(log_probs_NV: Tensor, cfg: LogitsConfig) -> Rows:
    """For each token the fewest ids whose mass reaches `cfg.top_p`, within `cfg.min_k` and `cfg.top_k`; never rescaled.

    >>> cfg = LogitsConfig(top_k=3, top_p=0.75, min_k=1, temperature=1.0)
    >>> rows = nucleus(torch.tensor([[0.1, 0.5, 0.1, 0.3]]).log(), cfg)
    >>> rows.ids.tolist(), rows.counts.tolist(), rows.missing.round(3).tolist()
    ([1, 3], [2], [0.2])
    """
    if not bool((log_probs_NV <= 0).all()):  # NaN is not
        raise UserError("the teacher's log-probabilities are above 0 or not numbers; look at its training curve")
    size = log_probs_NV.shape[-1]
    log_probs_NK, ids_NK = log_probs_NV.topk(min(cfg.top_k, size), dim=-1)
    counts_N = _counts(log_probs_NK, cfg)
    kept_NK = torch.arange(log_probs_NK.shape[-1], device=counts_N.device) < counts_N[:, None]
    tail_NV = log_probs_NV.scatter(-1, ids_NK, log_probs_NK.masked_fill(kept_NK, -torch.inf))
    return Rows(
        ids_NK[kept_NK].to(torch.int32).cpu().numpy(),
        _half(log_probs_NK[kept_NK]),
        counts_N.cpu().numpy(),
        _half(tail_NV.logsumexp(-1)),
    )


def _counts(log_probs_NK: Tensor, cfg: LogitsConfig) -> Tensor:
    most = log_probs_NK.shape[-1]
    if cfg.top_p >= 1:  # a rounded cumulative sum may never get there
        return torch.full(log_probs_NK.shape[:1], most, device=log_probs_NK.device)
    mass_NK = log_probs_NK.double().exp().cumsum(-1)
    return ((mass_NK < cfg.top_p).sum(-1) + 1).clamp(min(cfg.min_k, most), most)


def _half(log_probs: Tensor) -> np.ndarray:
    return log_probs.clamp(LEAST, 0).to(torch.float16).cpu().numpy()
