"""RFT: what the judge accepts of the prototype's answers, and thoughts for it (paper Eq. 2, App. B, C)."""

from functools import partial
from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import load, load_profile
from supertiny.core.files import write_json
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions, write_examples
from supertiny.core.stage import run
from supertiny.model.checkpoint import encoder, load_tokenizer
from supertiny.model.classifier import load_labeller
from supertiny.prototype.config import JudgeConfig, RftSizes
from supertiny.prototype.judges import choose
from supertiny.prototype.rft import build, read_answers
from supertiny.rl.config import ThoughtSizes
from supertiny.rl.thoughts import rule_made, write_traces
from supertiny.sft.packs import read_training_set


def main(llm: Path, judge: Path, data: Path, answers: Path, out: Path, report: Path) -> None:
    """Judge the `answers` to the training pool in `data`; write train.jsonl, what is accepted, to folder `out`.

    Beside it thoughts.jsonl, rule-made ones that lead to the labels of its first rows and of dev; counts to `report`.
    """
    cfg, sizes = load("judge", JudgeConfig), load_profile("sizes.rft", RftSizes)
    pool = read_functions(data / "functions.json")
    chat = partial(engines.chosen("chat"), llm, load_profile("chat", ChatMachine))
    verdicts = choose(cfg, pool, partial(load_labeller, judge), chat)
    queries = read_examples(data / "train.reference.jsonl", pool)
    found = read_answers(answers, queries, pool)
    encode = encoder(load_tokenizer(llm))
    examples, counts = build(queries, found, verdicts, pool, encode, load("prompt", PromptConfig), sizes)
    write_examples(out / "train.jsonl", examples)
    taught, few = read_training_set(data, out / "train.jsonl"), load_profile("sizes.thoughts", ThoughtSizes).rule
    rows = [*taught.examples[: few or None], *taught.dev]
    write_traces(out / "thoughts.jsonl", rule_made(rows, taught.pool, taught.prompt.answer))
    write_json(report, {"judge": cfg.kind, **counts})


if __name__ == "__main__":
    run(main)
