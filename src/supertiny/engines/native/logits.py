"""The teacher's logits in this process: one forward pass a prompt, whoever asks for it again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from supertiny.core.code import file_hash
from supertiny.core.files import digest, whole_folder
from supertiny.core.stage import cache_home
from supertiny.distill.config import LogitsConfig, LogitsSizes
from supertiny.distill.store import CacheReader, CacheWriter, TeacherIdentity, content_key, nucleus, real_log_probs
from supertiny.model import checkpoint, sources
from supertiny.model.batches import Branch, Pack, collate, micro_batches
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

    What this teacher was ever asked is kept in this user's cache folder, so that other examples, and a killed run,
    cost a forward pass only for what is new.
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
    store = cache_home() / "logits" / digest(identity.to_json(), cfg, compute_dtype(machine.precision), *code)[:24]
    with _alone(store), CacheWriter(store, identity, cfg, sizes.shard_tokens) as kept:
        _ask(teacher, packs, kept, len(identity.vocabulary.ids), tokenizer.pad_token_id, cfg, machine)
    with (
        CacheReader(store) as known,
        whole_folder(out) as partial,
        CacheWriter(partial, identity, cfg, sizes.shard_tokens) as written,
    ):
        for pack in packs:
            for branch in pack.branches:
                written.copy(_key(pack, branch), known)


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
    packs: Sequence[Pack],
    kept: CacheWriter,
    vocabulary_size: int,
    pad_id: int,
    cfg: LogitsConfig,
    machine: TrainMachine,
) -> None:
    """One forward pass over all responses that are not kept yet."""
    unknown = (
        replace(pack, branches=tuple(one for one in pack.branches if _key(pack, one) not in kept)) for pack in packs
    )
    new = [pack for pack in unknown if pack.branches]
    if not new:
        return
    model = checkpoint.load_model(teacher, compute_dtype(machine.precision)).to(device())
    # logits of 20 in bfloat16 are rounded to .06, which no distribution survives: the head multiplies in fp32
    head_VD, score = model.get_output_embeddings().weight.float(), ResponseLogits(model)
    for micro in tqdm(micro_batches(new, machine.max_tokens), desc="teacher's logits", unit="batch"):
        with torch.no_grad():
            logits_NV = score.hidden(collate(micro, pad_id).to(device())).float() @ head_VD.T
        at = 0
        for pack in micro:
            for branch in pack.branches:
                rows_NV = logits_NV[at : at + len(branch.response)]
                kept.add(_key(pack, branch), nucleus(real_log_probs(rows_NV, vocabulary_size, cfg.temperature), cfg))
                at += len(branch.response)


def _key(pack: Pack, branch: Branch) -> bytes:
    return content_key(pack.prefix + branch.prompt, branch.response)
