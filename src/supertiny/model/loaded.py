"""A model ready to answer requests."""

from collections.abc import Sequence
from pathlib import Path

from transformers import LogitsProcessor

from supertiny.model import checkpoint
from supertiny.model.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.model.constrain import Constraint
from supertiny.model.generate import generate
from supertiny.model.hardware import compute_dtype, device


class Loaded:
    """Weights, tokenizer and grammars of one checkpoint folder."""

    def __init__(self, folder: Path, cfg: DecodeConfig, machine: GenerateMachine) -> None:
        self._cfg = cfg
        self._tokenizer = checkpoint.load_tokenizer(folder)
        self._model = checkpoint.load_model(folder, compute_dtype(machine.precision)).to(device())
        self._constraint = Constraint(self._tokenizer, self._model.config.vocab_size) if cfg.constrained else None

    def answer(self, requests: Sequence[Request], batch_size: int, progress: str | None = None) -> list[Generation]:
        """The greedy answer to each request, in the order given."""
        constraint = self._constraint

        def constrain(rows: list[int]) -> LogitsProcessor | None:
            return constraint and constraint.processor([list(requests[row].candidates) for row in rows])

        return generate(
            self._model,
            self._tokenizer,
            [self._encode(request) for request in requests],
            self._cfg.max_new_tokens,
            batch_size,
            constrain,
            progress,
        )

    def _encode(self, request: Request) -> list[int]:
        """Tokens of the two parts apart, exactly as in training."""
        encode = checkpoint.encoder(self._tokenizer)
        return encode(request.prompt.shared) + encode(request.prompt.own)
