"""Sentence embeddings: the mean of an encoder's last hidden states over the tokens of a text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from transformers import AutoModel, PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.model import checkpoint
from supertiny.model.hardware import compute_dtype, device

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


def tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int = MAX_TOKENS
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask [len(texts), longest], padded on the right."""
    found = tokenizer(list(texts), padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
    return found["input_ids"], found["attention_mask"]


def mean_pooled(hidden_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean [B, D] over the tokens that are no padding."""
    weight = mask_BT[..., None].to(hidden_BTD.dtype)
    return (hidden_BTD * weight).sum(1) / weight.sum(1)
