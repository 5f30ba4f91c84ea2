"""Reject: sample API descriptions and keep those whose candidates led to a right call (paper App. D, Algorithm 1)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatConfig, ChatMachine, DecodeConfig, GenerateMachine, Generation, Request
from supertiny.core.config import Engines, load, load_profile, seed
from supertiny.core.files import write_json, write_jsonl
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.judge.reference import JudgeConfig
from supertiny.model.answer import Replies, identity
from supertiny.model.classifier import load_labeller
from supertiny.model.encoder import Encoder
from supertiny.prototype.judges import choose
from supertiny.retrieval.describe import DescribeConfig, DescribeSizes, RejectConfig, describer
from supertiny.retrieval.index import FunctionIndex
from supertiny.retrieval.recall import RetrievalConfig
from supertiny.retrieval.reject import attempt, calls_by, counts, pairs_to_learn, rank_in, sampled_and_labelled


def main(
    llm: Path, encoder: Path, caller: Path, judge: Path, functions: Path, expert: Path, reference: Path,
    out: Path, report: Path,
) -> None:  # fmt: skip
    """Let `llm` describe queries of `reference` and `caller` call; write what is kept to `out`, counts to `report`.

    Refusals need no API and are left out. The hidden answers of `reference` serve the reference judge alone.
    """
    cfg, judging, decode = load("reject", RejectConfig), load("judge", JudgeConfig), load("decode", DecodeConfig)
    sizes, machine = load_profile("describe", DescribeSizes), load_profile("generate", GenerateMachine)
    chat = engines.get(load_profile("engines", Engines).chat, "chat")(llm, load_profile("chat", ChatMachine))
    generate = engines.get(load_profile("engines", Engines).generate, "generate")
    pool = read_functions(functions)
    queries, labelled = sampled_and_labelled(read_examples(reference, pool), sizes)
    writer = describer(expert, pool, chat, load("describe", DescribeConfig), seed())
    sampled = writer.sample(queries, sizes.samples, cfg.chat)
    index = FunctionIndex(Encoder(encoder).embed, pool.values(), load("retrieval", RetrievalConfig).detail)

    def make(asked: Sequence[Request], how: DecodeConfig) -> list[Generation]:
        return generate(caller, asked, how, machine)

    kept = Replies(identity(caller, machine), make, sizes.shard)
    call = calls_by(kept, pool, load("prompt", PromptConfig), decode)
    verdicts = choose(judging, pool, partial(load_labeller, judge), lambda: chat, load("judge_chat", ChatConfig))
    tried = attempt(queries, sampled, rank_in(index), call, verdicts, pool, cfg)
    write_jsonl(out, pairs_to_learn(tried, labelled, pool, cfg))
    write_json(report, {"judge": judging.kind, **counts(sampled, tried, len(labelled), cfg)})


if __name__ == "__main__":
    run(main)
