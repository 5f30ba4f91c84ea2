"""Ask: one query answered in the terminal, every step of the system shown."""

import json
from collections.abc import Callable
from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine, DecodeConfig, GenerateMachine
from supertiny.core.calls import Answer, Malformed, Pool, Syntax, answer_from_json
from supertiny.core.config import load, load_profile, seed
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.core.prompt import ANSWER, PromptConfig
from supertiny.core.records import Example, Turn, must_be_writable, read_functions
from supertiny.data.dataset import DatasetConfig, read_knowledge
from supertiny.retrieval.config import DescribeConfig, RetrievalConfig
from supertiny.retrieval.describe import describer
from supertiny.retrieval.retrievers import KINDS, Describe, Retriever, retriever
from supertiny.serve.path import Setup, counter, crowded, find, steps

HOME, DATA = Path("data/models"), Path("data/dataset")


def main(
    query: str,
    room: str | None = None,
    earlier: str | None = None,
    earlier_answer: str | None = None,
    model: str = "sft",
    by: str | None = None,
) -> None:
    """Answer `query`, said in `room` after the turn `earlier` (and its answer, as JSON).

    `model`: a name under data/models. `by`: who chooses the functions it is offered: classifier, embedding (of the
    dialogue), described or optimized (by an API description that the base model or the trained describer writes);
    without it all of them are, which a pool longer than prompt.max_pool_tokens does not allow.
    """
    decode, machine = load("decode", DecodeConfig), load_profile("generate", GenerateMachine)
    generate = engines.chosen("generate")
    pool = read_functions(DATA / "functions.json")
    folder = model_folder(HOME, model, "--model")
    answer = _answer(earlier_answer, pool) if earlier_answer else None
    if isinstance(answer, Malformed) or (answer is None) != (earlier is None):
        raise UserError(f"--earlier and --earlier-answer: expected a query and a valid answer to it, got {answer}")
    prompt, count = load("prompt", PromptConfig), load("dataset", DatasetConfig).num_candidates
    chosen = offers(by, HOME, DATA / "expert.jsonl", pool, prompt, counter([folder]))
    setup = Setup(
        pool=pool,
        knowledge=read_knowledge(DATA / "knowledge.json"),
        find=(lambda example: find([example], chosen, count)[0]) if chosen else None,
        prompt=prompt,
        ask=lambda request: generate(folder, [request], decode, machine)[0],
    )
    context = {"room": room} if room else {}
    history = (Turn(earlier, answer),) if earlier and answer else ()
    for step, found in steps(Example(id="terminal", query=query, context=context, history=history), setup):
        print(f"{step}\n" + "".join(f"    {line}\n" for line in found.splitlines()), flush=True)


def _answer(text: str, pool: Pool) -> Answer | Malformed:
    try:
        return answer_from_json(json.loads(text), pool)
    except ValueError as error:
        raise UserError(f"--earlier-answer: not a JSON value ({error})") from None


def offers(
    by: str | None, models: Path, expert: Path, pool: Pool, prompt: PromptConfig, tokens: Callable[[str], int]
) -> Retriever | None:
    """Who chooses the functions that are offered; None where no one is wanted and the whole pool fits into a prompt.

    A pool that an answer cannot name is an error.
    """
    must_be_writable(pool, prompt.answer)
    if by:
        return named_retriever(by, models, expert, pool)
    if wrong := crowded(pool, tokens, prompt):
        raise UserError(f"the pool: {wrong}; choose a retriever with --by ({', '.join(KINDS)}), or raise that")
    return None


def named_retriever(by: str, models: Path, expert: Path, pool: Pool) -> Retriever:
    """`by`: classifier, embedding (of the dialogue), described or optimized (by an API description)."""

    def writer(model: Path) -> Describe:
        # the trained describer is a model of this project, which no server of the profile holds
        chat = engines.get("native", "chat") if by == "optimized" else engines.chosen("chat")
        ask = chat(model, load_profile("chat", ChatMachine))
        return describer(expert, pool, ask, load("describe", DescribeConfig), seed()).describe

    return retriever(by, models, pool, load("retrieval", RetrievalConfig).detail, writer)


def model_folder(home: Path, name: str, option: str) -> Path:
    """The folder of model `name`, which answers as params.yaml says; `option` is what named it."""
    folder = home / name
    if not (folder / "config.json").is_file():
        raise UserError(f"{option}: there is no model in {folder}; make it with `dvc repro`")
    _must_answer_in(load("prompt", PromptConfig).answer, folder, option)
    return folder


def _must_answer_in(syntax: Syntax, model: Path, option: str) -> None:
    """A model that was taught another syntax than params.yaml names is an error: prompt and grammar would be wrong."""
    taught = read_json(model / "config.json").get(ANSWER, Syntax.json)
    if taught != syntax:
        raise UserError(
            f"{option}: by its config.json {model} writes calls in {taught}, but params.yaml has prompt.answer: "
            f"{syntax}; set that back, or make the model again with `dvc repro`"
        )
