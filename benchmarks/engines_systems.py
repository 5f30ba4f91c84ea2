"""What `benchmarks.engines` compares: a model in one way of serving it, and the questions with the answers they get."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from multiprocessing import get_context
from pathlib import Path

from benchmarks.remote import Endpoint, chat, complete
from supertiny import engines
from supertiny.baseline.parts import DOMAINS
from supertiny.baseline.system import Traditional
from supertiny.commands.ask import model_folder
from supertiny.core.ask import DecodeConfig, GenerateMachine, Generation, Request, batched, requests
from supertiny.core.config import load, load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example, read_examples, read_functions

SPAWN = get_context("spawn")
TIMEOUT_S = 600.0
"""that one answer over HTTP may take"""
ROUTES = ("chat/completions", "completions")
NATIVE = "native"
"""the engine that every answer is checked against; the traditional system knows no other"""


@dataclass(frozen=True, slots=True)
class Question:
    """One query in the forms that systems are asked in, and the answer it should get."""

    example: Example
    request: Request
    expected: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server that speaks the OpenAI protocol."""

    url: str
    route: str
    key_variable: str | None

    def opened(self) -> Endpoint:
        """A client of it."""
        return Endpoint(self.url, TIMEOUT_S, os.environ.get(self.key_variable) if self.key_variable else None)

    def must_serve(self, model: str) -> None:
        """Fail if it is away or has no such model."""
        try:
            served = self.opened().models()
        except (OSError, HTTPException) as error:
            raise UserError(f"--url: no server answers at {self.url}: {error}") from None
        if model not in served:
            raise UserError(
                f"--url: the server has no model {model!r}, only {', '.join(served)}; serve it by that name"
            )


@dataclass(frozen=True, slots=True)
class System:
    """One model in one way of serving it."""

    model: Path
    way: str | Server
    """an engine, or a server that has the model under its folder's name"""
    functions: Path

    @property
    def title(self) -> tuple[str, str]:
        """Model, and how it is served: without an address, which is nobody else's business."""
        return self.model.name, f"HTTP, {self.way.route}" if isinstance(self.way, Server) else self.way

    @contextmanager
    def opened(self) -> Iterator[Callable[[Question], Generation]]:
        """Give a thread-safe `ask(question)`."""
        if isinstance(self.way, Server):
            yield self._remote(self.way.opened())
        elif is_traditional(self.model):
            at_once = load_profile("generate", GenerateMachine).batch_size
            with batched(_traditional(self.model, self.functions), at_once) as ask:
                yield lambda question: ask(question.example)
        else:
            serve, machine = engines.get(self.way, "serve"), load_profile("generate", GenerateMachine)
            with serve(self.model, load("decode", DecodeConfig), machine) as ask:
                yield lambda question: ask(question.request)

    def _remote(self, server: Endpoint) -> Callable[[Question], Generation]:
        name, decode = self.model.name, load("decode", DecodeConfig)
        if self.title[1].endswith(ROUTES[0]):
            pool = read_functions(self.functions)
            return lambda question: chat(server, name, question.example, pool, question.request.syntax)
        from supertiny.model import checkpoint

        encode = checkpoint.encoder(checkpoint.load_tokenizer(self.model))
        return lambda question: complete(server, name, _ids(encode, question.request), decode.max_new_tokens)


def systems(
    models: Path, names: Sequence[str], ways: Sequence[str], server: Server | None, functions: Path
) -> list[System]:
    """Every model in every way; the traditional system (both of its models) once, in the one way it has.

    An engine, a model or a server that is not there is an error before anything is loaded.
    """
    found = list[System]()
    every: list[str | Server] = [*ways, *([server] if server else [])]
    for name in names:
        if is_traditional(models / name):
            found.append(System(models / name, NATIVE, functions))
            continue
        folder = model_folder(models, name, "--names")
        found += [System(folder, way, functions) for way in every]
    if not found:
        raise UserError("--names, --engines, --url: expected a model, and an engine or a URL at least")
    for system in found:
        if isinstance(system.way, Server):
            system.way.must_serve(system.model.name)
        else:
            engines.get(system.way, "serve")
    return found


def questions(models: Sequence[Path], dataset: Path, results: Path | None, count: int) -> dict[str, list[Question]]:
    """The first `count` test queries, or all of them, by model with its own answers: what stage evaluate wrote to
    `results`, if that is given, else what the native engine writes now."""
    functions = dataset / "functions.json"
    pool = read_functions(functions)
    examples = read_examples(dataset / "test.jsonl", pool)[:count]
    asked = requests(examples, pool, load("prompt", PromptConfig))
    found = {}
    for model in models:
        answers = results / model.name / "answers.jsonl" if results else None
        known = {row["id"]: row["written"] for _, row in read_jsonl(answers)} if answers else {}
        missing = [at for at, one in enumerate(examples) if one.id not in known]
        with ProcessPoolExecutor(1, mp_context=SPAWN) as alone:  # its memory is nobody's afterwards
            parts = [examples[at] for at in missing], [asked[at] for at in missing]
            texts = alone.submit(_written, model, functions, *parts).result() if missing else []
        known |= {examples[at].id: text for at, text in zip(missing, texts, strict=True)}
        found[model.name] = [
            Question(one, request, known[one.id].strip()) for one, request in zip(examples, asked, strict=True)
        ]
    return found


def is_traditional(folder: Path) -> bool:
    """Whether this is a folder of stage baseline: a domain classifier, and a model of intents and slots by domain."""
    return (folder / DOMAINS).is_file()


def _written(model: Path, functions: Path, examples: list[Example], asked: list[Request]) -> list[str]:
    if is_traditional(model):
        found = _traditional(model, functions)(examples)
    else:
        generate, machine = engines.get(NATIVE, "generate"), load_profile("generate", GenerateMachine)
        found = generate(model, asked, load("decode", DecodeConfig), machine)
    return [one.text for one in found]


def _traditional(model: Path, functions: Path) -> Callable[[list[Example]], list[Generation]]:
    """Domain, then intent and slots, then the frame."""
    system = Traditional(model, read_functions(functions), load("prompt", PromptConfig).history_turns)
    return lambda examples: [one.generation for one in system.answer(examples)]


def _ids(encode: Callable[[str], list[int]], request: Request) -> list[int]:
    return encode(request.prompt.shared) + encode(request.prompt.own)  # apart, as in training
