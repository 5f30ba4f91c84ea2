"""The teacher's logits in this process: one forward pass a prompt, whoever asks for it again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from supertiny.core.code import file_hash
from supertiny.core.files import digest, whole_folder
from supertiny.core.stage import cache_home
from supertiny.distill.config import LogitsConfig, LogitsSizes
from supertiny.distill.store import (
    CacheReader,
    CacheWriter,
    TeacherIdentity,
    content_key,
    in_batch,
    nucleus,
    real_log_probs,
)
from supertiny.model import checkpoint, sources
from supertiny.model.batches import Branch, Pack, collate, merged, micro_batches, together
from supertiny.model.config import TrainMachine
from supertiny.model.hardware import compute_dtype, device
from supertiny.model.train import ResponseLogits
from supertiny.model.vocab import vocabulary
from supertiny.sft.packs import TrainingSet

CODE = ("model", "distill", "engines/native")
"""parts of the package that make the logits what they are; another version of them asks the teacher anew"""


def logits(
    teacher: Path, data: TrainingSet, out: Path, cfg: LogitsConfig, sizes: LogitsSizes, machine: TrainMachine
) -> None:
    """Write the distributions of `teacher` at the response tokens of all examples, dev too, to the cache `out`.

    A list that many examples stand behind is read once for as many as a batch holds.
    Batches are planned over all of them and kept whole in this user's cache folder, by what is in them: the last digits
    of a logit hang on the rows beside it. So a killed run goes on, the same examples cost nothing, and the bytes are
    those of a first run, whoever asked what before.
    """
    tokenizer = checkpoint.load_tokenizer(teacher)
    packs = [*data.packs(tokenizer), *data.dev_packs(tokenizer)]
    card = sources.identity(teacher)
    identity = TeacherIdentity(
        weights_sha256=str(card["weights_sha256"]),
        vocabulary=vocabulary(teacher),
        padded_size=int(card["padded_vocabulary"]),
    )
    code = [file_hash(file) for part in CODE for file in sorted((Path(__file__).parents[2] / part).glob("*.py"))]
    rounding = (compute_dtype(machine.precision), device(), torch.__version__)
    store = cache_home() / "logits" / digest(identity.to_json(), cfg, *map(str, rounding), *code)[:24]
    joint = together(packs, machine.max_tokens)
    wholes = [merged([packs[at] for at in one]) for one in joint]
    batches = micro_batches(wholes, machine.max_tokens)
    with _alone(store), CacheWriter(store, identity, cfg, sizes.shard_tokens) as kept:
        _ask(teacher, batches, kept, len(identity.vocabulary.ids), tokenizer.pad_token_id, cfg, machine.precision)
    within = {id(whole): _place(micro) for micro in batches for whole in micro}
    places = {at: within[id(whole)] for one, whole in zip(joint, wholes, strict=True) for at in one}
    with (
        CacheReader(store) as known,
        whole_folder(out) as partial,
        CacheWriter(partial, identity, cfg, sizes.shard_tokens) as written,
    ):
        for at, pack in enumerate(packs):
            for branch in pack.branches:
                key = _key(pack, branch)
                written.add(key, known.stored(in_batch(key, places[at])))


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """No two runs of this user write to `store` at once: the later one waits, and finds what the other has made."""
    store.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{store}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        tqdm.write(f"another run asks the same teacher ({store}); waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _ask(
    teacher: Path,
    batches: Sequence[Sequence[Pack]],
    kept: CacheWriter,
    vocabulary_size: int,
    pad_id: int,
    cfg: LogitsConfig,
    precision: str,
) -> None:
    """One forward pass over each batch that is not kept as a whole."""
    new = [micro for micro in batches if not all(key in kept for key in _keys(micro))]
    if not new:
        return
    where = device()
    model = checkpoint.load_model(teacher, compute_dtype(precision)).to(where)
    # logits of 20 in bfloat16 are rounded to .06, which no distribution survives: the head multiplies in fp32
    head_VD, score = model.get_output_embeddings().weight.float(), ResponseLogits(model)
    for micro in tqdm(new, desc="teacher's logits", unit="batch"):
        with torch.no_grad():
            logits_NV = score.hidden(collate(micro, pad_id).to(where)).float() @ head_VD.T
        sizes = [len(branch.response) for pack in micro for branch in pack.branches]
        for key, rows_NV in zip(_keys(micro), torch.split(logits_NV, sizes), strict=True):
            kept.add(key, nucleus(real_log_probs(rows_NV, vocabulary_size, cfg.temperature), cfg))


def _keys(micro: Sequence[Pack]) -> list[bytes]:
    """Under which the responses of one batch are kept, in its order."""
    place = _place(micro)
    return [in_batch(_key(pack, branch), place) for pack in micro for branch in pack.branches]


def _place(micro: Sequence[Pack]) -> str:
    """What tells a batch from any other."""
    return digest([[pack.prefix, [[one.prompt, one.response] for one in pack.branches]] for pack in micro])


def _key(pack: Pack, branch: Branch) -> bytes:
    return content_key(pack.prefix + branch.prompt, branch.response)
