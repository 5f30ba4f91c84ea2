"""Answers in this process: batched greedy decoding by transformers, constrained by xgrammar."""

from collections.abc import Sequence
from pathlib import Path

from supertiny.model.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.model.loaded import Loaded


def generate(model: Path, requests: Sequence[Request], cfg: DecodeConfig, machine: GenerateMachine) -> list[Generation]:
    """The greedy answer to each request, in the order given."""
    return Loaded(model, cfg, machine).answer(requests, machine.batch_size, progress="generate")
