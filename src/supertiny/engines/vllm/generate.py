"""Answers of a model of this project in bulk, by a vLLM server."""

from collections.abc import Sequence
from pathlib import Path

from supertiny.core.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.engines.servers.answer import answers
from supertiny.engines.servers.vllm import KIND


def generate(model: Path, requests: Sequence[Request], cfg: DecodeConfig, machine: GenerateMachine) -> list[Generation]:
    """The greedy answer to each request, in the order given, from the server that `servers.answers` describes."""
    return answers(KIND, model, requests, cfg, machine)
