"""RFT data: what the judge accepts of the prototype's answers becomes the training set (paper Eq. 2, App. C)."""

from functools import partial
from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatConfig, ChatMachine
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.files import write_json
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions, write_examples
from supertiny.core.stage import run
from supertiny.judge.reference import JudgeConfig
from supertiny.model.checkpoint import encoder, load_tokenizer
from supertiny.model.classifier import load_labeller
from supertiny.prototype.judges import choose
from supertiny.prototype.rft import RftSizes, build, read_answers


def main(llm: Path, judge: Path, functions: Path, reference: Path, answers: Path, out: Path, report: Path) -> None:
    """Judge the `answers` to the queries of `reference`; write the accepted to `out`, the counts to `report`."""
    cfg, sizes = load("judge", JudgeConfig), load_profile("rft", RftSizes)
    chat = engines.get(load_profile("engines", Engines).chat, "chat")
    pool = read_functions(functions)
    label, chat = partial(load_labeller, judge), partial(chat, llm, load_profile("chat", ChatMachine))
    verdicts = choose(cfg, pool, label, chat, load("judge_chat", ChatConfig))
    queries = read_examples(reference, pool)
    found = read_answers(answers, queries, pool)
    encode = encoder(load_tokenizer(llm))
    examples, counts = build(queries, found, verdicts, pool, encode, load("prompt", PromptConfig), sizes)
    write_examples(out, examples)
    write_json(report, {"judge": cfg.kind, **counts})


if __name__ == "__main__":
    run(main)
