"""Answers in this process: batched greedy decoding by transformers, constrained by xgrammar."""

from collections.abc import Sequence
from pathlib import Path

from supertiny.model.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.model.generate import Sampling
from supertiny.model.loaded import Loaded


def generate(model: Path, requests: Sequence[Request], cfg: DecodeConfig, machine: GenerateMachine) -> list[Generation]:
    """The greedy answer to each request, in the order given."""
    sampling = Sampling(cfg.max_new_tokens)
    return Loaded(model, machine.precision).answer(
        requests, sampling, machine.batch_size, cfg.constrained, progress="generate"
    )
