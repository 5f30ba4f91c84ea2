"""Ask: one query answered in the terminal, every step of the system shown."""

import json
from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine, DecodeConfig, GenerateMachine
from supertiny.core.calls import Answer, Malformed, Pool, answer_from_json
from supertiny.core.config import load, load_profile, seed
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example, Turn, read_functions
from supertiny.data.dataset import DatasetConfig, read_knowledge
from supertiny.retrieval.config import DescribeConfig, RetrievalConfig
from supertiny.retrieval.describe import describer
from supertiny.retrieval.retrievers import Describe, Retriever, retriever
from supertiny.serve.path import Setup, steps

HOME, DATA = Path("data/models"), Path("data/dataset")


def main(
    query: str,
    room: str | None = None,
    earlier: str | None = None,
    earlier_answer: str | None = None,
    model: str = "sft",
    by: str = "classifier",
) -> None:
    """Answer `query`, said in `room` after the turn `earlier` (and its answer, as JSON).

    `model`: a name under data/models. `by`: the retriever: classifier, embedding (of the dialogue), described or
    optimized (by an API description that the base model or the trained describer writes).
    """
    decode, machine = load("decode", DecodeConfig), load_profile("generate", GenerateMachine)
    generate = engines.chosen("generate")
    pool = read_functions(DATA / "functions.json")
    folder = model_folder(HOME, model, "--model")
    answer = _answer(earlier_answer, pool) if earlier_answer else None
    if isinstance(answer, Malformed) or (answer is None) != (earlier is None):
        raise UserError(f"--earlier and --earlier-answer: expected a query and a valid answer to it, got {answer}")
    setup = Setup(
        pool=pool,
        knowledge=read_knowledge(DATA / "knowledge.json"),
        retriever=named_retriever(by, HOME, DATA / "expert.jsonl", pool),
        num_candidates=load("dataset", DatasetConfig).num_candidates,
        prompt=load("prompt", PromptConfig),
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


def named_retriever(by: str, models: Path, expert: Path, pool: Pool) -> Retriever:
    """`by`: classifier, embedding (of the dialogue), described or optimized (by an API description)."""

    def writer(model: Path) -> Describe:
        # the trained describer is a model of this project, which no server of the profile holds
        chat = engines.get("native", "chat") if by == "optimized" else engines.chosen("chat")
        ask = chat(model, load_profile("chat", ChatMachine))
        return describer(expert, pool, ask, load("describe", DescribeConfig), seed()).describe

    return retriever(by, models, pool, load("retrieval", RetrievalConfig).detail, writer)


def model_folder(home: Path, name: str, option: str) -> Path:
    """The folder of model `name`; `option` is what named it."""
    folder = home / name
    if not (folder / "config.json").is_file():
        raise UserError(f"{option}: there is no model in {folder}; make it with `dvc repro`")
    return folder
