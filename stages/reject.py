"""Reject: sample API descriptions and keep those whose candidates led to a right call (paper App. D, Algorithm 1)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine, DecodeConfig, GenerateMachine, Generation, Request
from supertiny.core.config import Engines, load, load_profile, seed
from supertiny.core.files import write_json, write_jsonl
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.answer import Replies, identity
from supertiny.model.classifier import load_labeller
from supertiny.model.encoder import Encoder
from supertiny.prototype.config import JudgeConfig
from supertiny.prototype.judges import choose
from supertiny.retrieval.config import DescribeConfig, DescribeSizes, RejectConfig, RetrievalConfig
from supertiny.retrieval.describe import describer
from supertiny.retrieval.index import FunctionIndex
from supertiny.retrieval.reject import attempt, calls_by, counts, pairs_to_learn, rank_in, sampled_and_labelled


def main(models: Path, caller: Path, data: Path, out: Path, report: Path) -> None:
    """Let the large model describe queries of the pool in `data` and `caller` call; write what is kept to `out`.

    Counts go to `report`. Refusals need no API and are left out. The hidden answers serve the reference judge alone.
    """
    cfg, judging, decode = load("reject", RejectConfig), load("judge", JudgeConfig), load("decode", DecodeConfig)
    sizes, machine = load_profile("sizes.describe", DescribeSizes), load_profile("generate", GenerateMachine)
    chat = engines.chosen("chat")(models / "llm", load_profile("chat", ChatMachine))
    generate = engines.chosen("generate")
    pool = read_functions(data / "functions.json")
    queries, labelled = sampled_and_labelled(read_examples(data / "train.reference.jsonl", pool), sizes)
    writer = describer(data / "expert.jsonl", pool, chat, load("describe", DescribeConfig), seed())
    sampled = writer.sample(queries, sizes.samples, cfg.chat)
    detail = load("retrieval", RetrievalConfig).detail
    index = FunctionIndex(Encoder(models / "encoder").embed, pool.values(), detail)

    def make(asked: Sequence[Request], how: DecodeConfig) -> list[Generation]:
        return generate(caller, asked, how, machine)

    known = identity(caller, machine, load_profile("engines", Engines).generate)
    call = calls_by(Replies(known, make, sizes.shard), pool, load("prompt", PromptConfig), decode)
    verdicts = choose(judging, pool, partial(load_labeller, models / "judge"), lambda: chat)
    tried = attempt(queries, sampled, rank_in(index), call, verdicts, pool, cfg)
    write_jsonl(out, pairs_to_learn(tried, labelled, pool, cfg))
    write_json(report, {"judge": judging.kind, **counts(sampled, tried, len(labelled), cfg)})


if __name__ == "__main__":
    run(main)
