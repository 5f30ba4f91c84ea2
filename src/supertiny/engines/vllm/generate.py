"""Answers of a model of this project in bulk, by a vLLM server."""

from collections.abc import Sequence
from pathlib import Path

from supertiny.engines.endpoint._verbs import answers
from supertiny.engines.vllm._kind import KIND
from supertiny.model.ask import DecodeConfig, GenerateMachine, Generation, Request


def generate(model: Path, requests: Sequence[Request], cfg: DecodeConfig, machine: GenerateMachine) -> list[Generation]:
    """The greedy answer to each request, in the order given, from the server that `servers.answers` describes."""
    return answers(KIND, model, requests, cfg, machine)
