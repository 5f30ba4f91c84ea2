"""An encoder under linear heads: labels for a whole text, tags for its words; trained by the one loop, `fit`.

Shapes: B texts, T tokens of the longest, C labels of a head.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoModel, PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.model import checkpoint
from supertiny.model.config import SEAM
from supertiny.model.hardware import compute_dtype, device
from supertiny.model.train import Scorer

BATCH = 64
MAX_TOKENS = 256
"""texts are cut there, as all-MiniLM-L6-v2 was trained"""


class Encoder:
    """A frozen sentence encoder."""

    def __init__(self, folder: Path, precision: str = "auto") -> None:
        self.tokenizer = checkpoint.load_tokenizer(folder)
        try:
            self.model = AutoModel.from_pretrained(folder, dtype=compute_dtype(precision), local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UserError(f"{folder}: cannot be loaded as a sentence encoder: {error}") from error
        self.model.eval().to(device())

    def embed(self, texts: Sequence[str], progress: str | None = None) -> np.ndarray:
        """Unit vectors [len(texts), D] in float32, in the order given; equal texts are embedded once."""
        different = sorted(set(texts), key=lambda text: (len(text), text))
        vectors: dict[str, np.ndarray] = {}
        with torch.inference_mode(), tqdm(total=len(different), desc=progress, disable=progress is None) as bar:
            for start in range(0, len(different), BATCH):
                batch = different[start : start + BATCH]
                vectors.update(zip(batch, self._embed(batch), strict=True))
                bar.update(len(batch))
        if not texts:
            return np.zeros((0, self.model.config.hidden_size), dtype=np.float32)
        return np.stack([vectors[text] for text in texts])

    def _embed(self, texts: list[str]) -> np.ndarray:
        ids, mask = tokens(self.tokenizer, texts)
        hidden = self.model(ids.to(self.model.device), attention_mask=mask.to(self.model.device)).last_hidden_state
        pooled = mean_pooled(hidden.float(), mask.to(hidden.device))
        return torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()


def as_read(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A text as it is tokenized: of control tokens it has the tokenizer's separator alone, where it has a seam."""
    return checkpoint.defused(tokenizer, text).replace(SEAM, f" {tokenizer.sep_token or '[SEP]'} ")


def tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int = MAX_TOKENS
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask [len(texts), longest], padded on the right."""
    read = [as_read(tokenizer, text) for text in texts]
    found = tokenizer(read, padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
    return found["input_ids"], found["attention_mask"]


def mean_pooled(hidden_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean [B, D] over the tokens that are no padding."""
    weight = mask_BT[..., None].to(hidden_BTD.dtype)
    return (hidden_BTD * weight).sum(1) / weight.sum(1)


NONE = -100
"""target of a token that has no tag"""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One text with its label for the whole and, where words are tagged, a tag id for each token."""

    text: str
    label: int
    tags: tuple[int, ...] = ()
    """one for each token of the text `as_read`, special tokens included; NONE: not learned"""


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Texts as tensors."""

    ids: Tensor
    """[B, T]"""
    mask: Tensor
    """[B, T] 1 where there is a token"""
    targets: Tensor
    """[B] label of each text"""
    tags: Tensor
    """[B, T] tag of each token, NONE where there is none"""

    @property
    def num_tokens(self) -> int:
        """Tokens without padding."""
        return int(self.mask.sum())

    def to(self, device: torch.device) -> "TextBatch":
        """The same batch on `device`."""
        return TextBatch(*(getattr(self, name).to(device) for name in self.__slots__))


def collate(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Labelled]) -> TextBatch:
    """Lay labelled texts out as one batch."""
    ids, mask = tokens(tokenizer, [row.text for row in rows])
    tags = torch.full(ids.shape, NONE)
    for at, row in enumerate(rows):
        size = min(len(row.tags), ids.shape[1])
        tags[at, :size] = torch.tensor(row.tags[:size], dtype=torch.long)
    return TextBatch(ids, mask, torch.tensor([row.label for row in rows]), tags)


class HeadedEncoder(Scorer):
    """Scores of a label head over the pooled text and, where there are tags, of a tag head over its tokens."""

    def __init__(self, folder: Path, labels: Sequence[str], tags: Sequence[str] = ()) -> None:
        super().__init__()
        self.labels, self.tags = list(labels), list(tags)
        self.tokenizer = checkpoint.load_tokenizer(folder)
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        width = self.model.config.hidden_size
        self.dropout = nn.Dropout(0.1)
        self.heads = nn.ModuleDict({"label": nn.Linear(width, len(self.labels))})
        if self.tags:
            self.heads["tag"] = nn.Linear(width, len(self.tags))

    def forward(self, batch: TextBatch) -> dict[str, Tensor]:
        """`label` [B, C] and, with tags, `tag` [B, T, C]."""
        hidden = self.dropout(self.model(batch.ids, attention_mask=batch.mask).last_hidden_state)
        scores = {"label": self.heads["label"](mean_pooled(hidden, batch.mask))}
        return scores | ({"tag": self.heads["tag"](hidden)} if self.tags else {})

    def save(self, folder: Path) -> None:
        """Write encoder, tokenizer and heads; `load_headed` gives them back."""
        checkpoint.save(self.model, self.tokenizer, folder)
        save_file(self.heads.state_dict(), folder / "heads.safetensors")
        (folder / "labels.json").write_text(json.dumps({"labels": self.labels, "tags": self.tags}, indent=1) + "\n")

    @torch.inference_mode()
    def scores(self, texts: Sequence[str], progress: str | None = None) -> list[dict[str, Tensor]]:
        """For each text its `label` [C] log-probabilities and, with tags, `tag` [its tokens, C] ones."""
        self.eval().to(device())
        order = sorted(range(len(texts)), key=lambda index: (len(texts[index]), index))
        found: dict[int, dict[str, Tensor]] = {}
        with tqdm(total=len(order), desc=progress, disable=progress is None, unit="text") as bar:
            for start in range(0, len(order), BATCH):
                rows = order[start : start + BATCH]
                batch = collate(self.tokenizer, [Labelled(texts[row], 0) for row in rows]).to(device())
                scores = {name: value.float().log_softmax(-1).cpu() for name, value in self(batch).items()}
                for at, row in enumerate(rows):
                    size = int(batch.mask[at].sum())
                    found[row] = {n: v[at] if n == "label" else v[at, :size] for n, v in scores.items()}
                bar.update(len(rows))
        return [found[index] for index in range(len(texts))]


def load_headed(folder: Path) -> HeadedEncoder:
    """What `HeadedEncoder.save` wrote."""
    if not (folder / "heads.safetensors").is_file():
        raise UserError(f"{folder}: there is no encoder with heads here; run the stage that makes it (`dvc repro`)")
    names = read_json(folder / "labels.json")
    model = HeadedEncoder(folder, names["labels"], names["tags"])
    model.heads.load_state_dict(load_file(folder / "heads.safetensors"))
    return model.eval()


def loss(scores: Mapping[str, Tensor], batch: TextBatch) -> Tensor:
    """-log p(label) and, with tags, - sum over tokens of log p(tag), summed over texts: the whole frame's, in fp32."""
    total = nn.functional.cross_entropy(scores["label"].float(), batch.targets, reduction="sum")
    if "tag" in scores:
        flat = scores["tag"].float().flatten(0, 1)
        total = total + nn.functional.cross_entropy(flat, batch.tags.flatten(), reduction="sum", ignore_index=NONE)
    return total
