"""Traces: what a trained policy thinks before right answers, for a smaller model to learn (KD*, App. E)."""

from collections.abc import Sequence
from pathlib import Path

from supertiny import engines
from supertiny.core.ask import DecodeConfig, GenerateMachine, Generation, Request, requests
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.model.answer import Replies, identity
from supertiny.rl.config import ThoughtSizes
from supertiny.rl.thoughts import accepted, counts, filled, read_traces, write_traces
from supertiny.sft.packs import read_training_set


def main(policy: Path, rows: Path, data: Path, rule_made: Path, out: Path, report: Path) -> None:
    """Have `policy` answer the first of `rows` and dev; write the right ones to `out`, counts to `report`.

    Where it was wrong the thought in `rule_made` stands in, marked as such, lest what is hard is not learned.
    """
    decode, machine = load("decode", DecodeConfig), load_profile("generate", GenerateMachine)
    generate = engines.chosen("generate")
    taught, sizes = read_training_set(data, rows), load_profile("sizes.thoughts", ThoughtSizes)
    examples = [*taught.examples[: sizes.model or None], *taught.dev]

    def answer(asked: Sequence[Request], how: DecodeConfig) -> list[Generation]:
        return generate(policy, asked, how, machine)

    engine = load_profile("engines", Engines).generate
    kept = Replies(identity(policy, machine, engine), answer, sizes.shard)
    found = kept.ask(requests(examples, taught.pool, taught.prompt), decode, "thoughts")
    own = accepted(examples, [one.text for one in found], taught.pool, taught.prompt.answer)
    thoughts = filled(examples, own, read_traces(rule_made))
    write_traces(out, thoughts)
    write_json(report, counts(len(examples), thoughts))


if __name__ == "__main__":
    run(main)
