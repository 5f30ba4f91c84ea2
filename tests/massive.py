"""MASSIVE as a user's own files: its intents as OpenAI tools, its utterances as labelled and unlabelled queries.

    python -m tests.massive --source en-US.jsonl --out voice-data
    supertiny init ../voice --functions voice-data/tools.json --queries voice-data/queries.jsonl

Scenarios are tagged `unseen` and `unseen_dev`, as `dataset.massive` of params.yaml holds them out; every other training
utterance gives up its label, as queries of a log have none. MASSIVE's dev and test parts keep theirs.
"""

from pathlib import Path

from supertiny.core.calls import answer_json
from supertiny.core.config import load
from supertiny.core.files import write_jsonl
from supertiny.core.records import write_functions
from supertiny.core.stage import run
from supertiny.data.dataset import DatasetConfig
from supertiny.data.own import Utterance, build_pool, read_utterances


def main(source: Path, out: Path) -> None:
    """Write tools.json and queries.jsonl to folder `out`, from MASSIVE's `source`."""
    utterances = read_utterances(source)
    cfg = load("dataset", DatasetConfig).massive
    tags = dict.fromkeys(cfg.ood_scenarios, "unseen") | dict.fromkeys(cfg.dev_ood_scenarios, "unseen_dev")
    out.mkdir(parents=True, exist_ok=True)
    write_functions(out / "tools.json", build_pool(utterances))
    write_jsonl(out / "queries.jsonl", (query(at, one, tags) for at, one in enumerate(utterances)))


def query(at: int, one: Utterance, tags: dict[str, str]) -> dict[str, object]:
    """One line of the user's file."""
    row: dict[str, object] = {"id": one.id, "query": one.query, "template": one.template}
    if one.scenario in tags:
        row["tags"] = [tags[one.scenario]]
    if one.scenario in tags or one.partition != "train" or at % 2:
        row["answers"] = [answer_json(one.call)]
    return row


if __name__ == "__main__":
    run(main)
