"""Reject: sample API descriptions and keep those whose candidates led to a right call (paper App. D, Algorithm 1)."""

from collections.abc import Sequence
from pathlib import Path

from supertiny import engines
from supertiny.core.calls import Pool
from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import digest, write_json, write_jsonl
from supertiny.core.machine import Engines
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.core.stage import run
from supertiny.describe.config import DescribeConfig, DescribeSizes, RejectConfig
from supertiny.describe.describer import describer
from supertiny.describe.reject import MakeCall, attempt, counts, pairs_to_learn, rank_in
from supertiny.judge.choose import JudgeParts, choose
from supertiny.judge.kinds import JudgeConfig
from supertiny.measure.workload import requests
from supertiny.model.ask import ChatConfig, ChatMachine, DecodeConfig, GenerateMachine, Generation, Request
from supertiny.model.encode import Encoder
from supertiny.model.heads import load_headed
from supertiny.model.labelling import label_log_probabilities
from supertiny.model.replies import Replies
from supertiny.prompt.compressed import PromptConfig
from supertiny.retrieve.index import FunctionIndex
from supertiny.retrieve.needed import with_call
from supertiny.retrieve.recall import RetrievalConfig


def main(
    llm: Path, encoder: Path, caller: Path, judge: Path, functions: Path, expert: Path, reference: Path,
    out: Path, report: Path,
) -> None:  # fmt: skip
    """Let `llm` describe queries of `reference` and `caller` call; write what is kept to `out`, counts to `report`.

    Refusals need no API and are left out. The hidden answers of `reference` serve the reference judge alone.
    """
    cfg, judging, sizes = (
        load("reject", RejectConfig),
        load("judge", JudgeConfig),
        load_profile("describe", DescribeSizes),
    )
    chat = engines.get(load_profile("engines", Engines).chat, "chat")(llm, load_profile("chat", ChatMachine))
    pool = read_functions(functions)
    rows = with_call(read_examples(reference, pool))
    end = sizes.queries or len(rows)
    queries, labelled = rows[:end], rows[end:][: sizes.labelled]
    writer = describer(expert, pool, chat, load("describe", DescribeConfig), seed())
    sampled = writer.sample(queries, sizes.samples, cfg.chat)
    index = FunctionIndex(Encoder(encoder).embed, pool.values(), load("retrieval", RetrievalConfig).detail)
    parts = JudgeParts(
        pool=pool,
        label=lambda: label_log_probabilities(load_headed(judge)),
        chat=chat,
        chat_cfg=load("judge_chat", ChatConfig),
    )
    rank, call = rank_in(index), _calls(caller, pool, sizes.shard)
    tried = attempt(queries, sampled, rank, call, choose(judging, parts), pool, cfg)
    write_jsonl(out, pairs_to_learn(tried, labelled, pool, cfg))
    write_json(report, {"judge": judging.kind, **counts(sampled, tried, len(labelled), cfg)})


def _calls(caller: Path, pool: Pool, shard: int) -> MakeCall:
    """Calls by the fine-tuned model with its compressed prompt; one that was ever made is never made again.

    The paper's large model calls; the one of the CPU profile is too weak for its right calls to sift descriptions.
    """
    prompt, decode = load("prompt", PromptConfig), load("decode", DecodeConfig)
    machine = load_profile("generate", GenerateMachine)
    generate = engines.get(load_profile("engines", Engines).generate, "generate")

    def make(asked: Sequence[Request], cfg: DecodeConfig) -> list[Generation]:
        return generate(caller, asked, cfg, machine)

    kept = Replies(digest(caller, machine.precision), make, shard)

    def call(examples: Sequence[Example]) -> list[Generation]:
        return kept.ask(requests(examples, pool, prompt), decode, "calls")

    return call


if __name__ == "__main__":
    run(main)
