"""Ask: one query answered in the terminal, every step of the system shown. No stage of the graph."""

import json
from pathlib import Path

from supertiny import engines
from supertiny.commands.ask import DATA, HOME, named_retriever
from supertiny.core.ask import DecodeConfig, GenerateMachine
from supertiny.core.calls import Answer, Malformed, Pool, answer_from_json
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example, Turn, read_functions
from supertiny.core.stage import run
from supertiny.data.dataset import DatasetConfig
from supertiny.data.knowledge import read_knowledge
from supertiny.serve.path import Mind, think


def main(
    query: str,
    room: str | None = None,
    time: str | None = None,
    earlier: str | None = None,
    earlier_answer: str | None = None,
    model: Path = HOME / "sft",
    by: str = "classifier",
) -> None:
    """Answer `query`, said in `room` at `time` after the turn `earlier` (and its answer, as JSON).

    `by`: the retriever: classifier, embedding (of the dialogue), described or optimized (by an API description that
    the base model or the trained describer writes).
    """
    decode, machine = load("decode", DecodeConfig), load_profile("generate", GenerateMachine)
    generate = engines.get(load_profile("engines", Engines).generate, "generate")
    pool = read_functions(DATA / "functions.json")
    answer = _answer(earlier_answer, pool) if earlier_answer else None
    if isinstance(answer, Malformed) or (answer is None) != (earlier is None):
        raise UserError(f"--earlier and --earlier-answer: expected a query and a valid answer to it, got {answer}")
    mind = Mind(
        pool=pool,
        knowledge=read_knowledge(DATA / "knowledge.json"),
        retriever=named_retriever(by, HOME, DATA / "expert.jsonl", pool),
        num_candidates=load("dataset", DatasetConfig).num_candidates,
        prompt=load("prompt", PromptConfig),
        ask=lambda request: generate(model, [request], decode, machine)[0],
    )
    context = {key: value for key, value in {"room": room, "time": time}.items() if value}
    history = (Turn(earlier, answer),) if earlier and answer else ()
    for step, found in think(Example(id="terminal", query=query, context=context, history=history), mind):
        print(f"{step}\n" + "".join(f"    {line}\n" for line in found.splitlines()), flush=True)


def _answer(text: str, pool: Pool) -> Answer | Malformed:
    try:
        return answer_from_json(json.loads(text), pool)
    except ValueError as error:
        raise UserError(f"--earlier-answer: not a JSON value ({error})") from None


if __name__ == "__main__":
    run(main)
