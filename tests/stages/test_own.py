"""A user's own files, most rows without an answer, from the door to the training set, on the smoke profile."""

import json
from pathlib import Path

import pytest

from stages import dataset, judge, prototype, rft
from supertiny.core.files import read_jsonl
from supertiny.core.records import read_examples, read_functions
from supertiny.rl.thoughts import read_traces
from tests.project import have_base, smoke_project

NAMES = ("brew_coffee", "grind_beans", "clean_machine", "heat_milk", "order_beans")
DATA, MODELS = Path("data/dataset"), Path("data/models")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    def change(params, profile):
        params["dataset"] |= {"source": "own", "lists": "oracle", "num_candidates": 3}
        profile["sizes"]["prototype"]["train"] = 12
        profile["sizes"]["rft"]["labelled"] = 4

    with smoke_project(tmp_path_factory.mktemp("own"), change) as folder:
        own = Path("data/own")
        own.mkdir(parents=True)
        tools = [
            {
                "type": "function",
                "function": {
                    "name": name,
                    "description": name.replace("_", " "),
                    "parameters": {"type": "object", "properties": {"cups": {"type": "integer"}}, "required": []},
                },
            }
            for name in NAMES
        ]
        (own / "functions.json").write_text(json.dumps(tools))
        rows = [{"id": f"q{n}", "query": f"{NAMES[n % 5].replace('_', ' ')} {n}"} for n in range(60)]
        for n in range(36):
            rows[n]["answers"] = [{"name": NAMES[n % 5], "arguments": {"cups": n}}]
        (own / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        dataset.main(DATA)
        have_base("llm", "encoder")
        yield folder


def test_unlabelled_queries_are_offered_functions_and_only_labelled_ones_are_trained_on_unasked(project):
    asking = {"llm": MODELS / "llm", "encoder": MODELS / "encoder", "data": DATA}
    judge.main(**asking, model=MODELS / "judge", log=Path("data/logs/judge.csv"), out=Path("data/results/judge.json"))
    answers = Path("data/prototype/train.jsonl")
    prototype.main(**asking, out=answers)
    pool = read_functions(DATA / "functions.json")
    asked = {row["id"]: row for _, row in read_jsonl(answers)}
    bare = [row for row in read_examples(DATA / "train.jsonl", pool)[:12] if not row.candidates]
    assert bare, "the pool's first rows hold some that nobody labelled"
    assert all(len(asked[row.id]["candidates"]) == 3 for row in bare)

    rft.main(MODELS / "llm", MODELS / "judge", DATA, answers, Path("data/rft"), Path("data/results/rft.json"))
    learned = read_examples(Path("data/rft/train.jsonl"), pool)
    assert len(learned) > 0 and all(row.answers and row.candidates for row in learned)
    dev = read_examples(DATA / "dev.jsonl", pool)[:6]
    assert list(read_traces(Path("data/rft/thoughts.jsonl"))) == [row.id for row in [*learned[:24], *dev]]
