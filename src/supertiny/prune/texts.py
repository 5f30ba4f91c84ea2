"""What the domain reads and writes, in the pieces that are tokenized alone: whose tokens a trimmed vocabulary keeps."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from supertiny.core.records import Example
from supertiny.model.batches import Pack
from supertiny.prompt.compressed import own_part, shared_part
from supertiny.sft.training_set import TrainingSet


def domain_texts(
    data: TrainingSet, packs: Sequence[Pack], queries: Sequence[Example], tokenizer: PreTrainedTokenizerBase
) -> list[str]:
    """Texts of `packs` (training examples of `data`), of `queries`, and of every function that may be offered."""
    asked = [own_part(query, data.pool, data.prompt) for query in queries]
    offered = [shared_part([function], data.prompt) for function in data.pool.values()]
    return [*_said(packs, tokenizer), *asked, *offered]


def _said(packs: Sequence[Pack], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    pieces = [pack.prefix for pack in packs]
    pieces += [ids for pack in packs for branch in pack.branches for ids in (branch.prompt, branch.response)]
    return [tokenizer.decode(ids, skip_special_tokens=False) for ids in pieces]
