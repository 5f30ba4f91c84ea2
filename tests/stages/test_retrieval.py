"""The classifier retriever from training to Table 5, in process, on a random tiny encoder."""

import csv
import json
from pathlib import Path

import pytest

from stages import base, dataset, retrieval, retriever
from supertiny.core.errors import UserError
from supertiny.core.records import read_examples, read_functions
from supertiny.model import train as fit_module
from supertiny.model.encoder import load_headed
from supertiny.retrieval.recall import with_call
from tests.project import smoke_project

DATA = Path("data/dataset")
ENCODER = Path("data/models/encoder")
FUNCTIONS = DATA / "functions.json"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a dataset, a random encoder and that encoder trained on a few examples."""

    def change(params, profile):
        params["retriever"] |= {"epochs": 2, "dev_points": 2}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        dataset.main(DATA)
        base.main("encoder", ENCODER, Path("data/models/encoder.json"))
        train("retriever")
        yield folder


def train(name, examples=DATA / "train.reference.jsonl"):
    retriever.main(
        ENCODER, FUNCTIONS, examples, DATA / "dev.jsonl", Path(f"data/models/{name}"), Path(f"data/logs/{name}.csv")
    )


def measure(name, **descriptions):
    out = Path(f"data/results/{name}.json")
    tests = {"test": DATA / "test.jsonl", "ood": DATA / "ood.jsonl"}
    retrieval.main(ENCODER, Path("data/models/retriever"), FUNCTIONS, **tests, out=out, **descriptions)
    return json.loads(out.read_text())


def contents(name):
    files = [*sorted(Path(f"data/models/{name}").iterdir()), Path(f"data/logs/{name}.csv")]
    return {file.suffix + file.name.replace(name, ""): file.read_bytes() for file in files}


def test_training_learns_the_functions_of_its_calls_and_no_refusal(project):
    rows = list(csv.DictReader((project / "data/logs/retriever.csv").open()))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert [row["dev_loss"] != "" for row in rows].count(True) == 2
    shown = read_examples(DATA / "train.reference.jsonl", read_functions(FUNCTIONS))[:96]
    called = {example.answers[0].name for example in with_call(shown)}
    assert load_headed(Path("data/models/retriever")).labels == sorted(called)
    assert len(with_call(shown)) < len(shown)


def test_a_killed_training_ends_at_the_same_bytes(project, monkeypatch):
    step = fit_module._Trainer._step

    def dies(self, number, total):
        if number == 3:
            self._save()
            raise KeyboardInterrupt
        return step(self, number, total)

    monkeypatch.setattr(fit_module._Trainer, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train("again")
    assert not Path("data/models/again").exists()
    numbers = []
    monkeypatch.setattr(fit_module._Trainer, "_step", lambda *a: numbers.append(a[1]) or step(*a))
    train("again")
    assert numbers[0] == 3
    assert contents("again") == contents("retriever")
    assert not list((project / "cache").rglob("state.pt"))


def test_without_any_call_there_is_nothing_to_train_on(project):
    lines = (DATA / "train.reference.jsonl").read_text().splitlines()
    refusals = [line for line in lines if isinstance(json.loads(line)["answers"][0], str)]
    path = project / "refusals.jsonl"
    path.write_text("\n".join(refusals) + "\n")
    with pytest.raises(UserError, match="hold no call"):
        train("none", path)


def test_table_counts_the_calls_of_both_tests_and_is_the_same_twice(project):
    rows = measure("retrieval")
    assert list(rows) == ["classifier", "query_name", "query_description", "query_parameters", "dialogue"]
    pool = read_functions(FUNCTIONS)
    num_calls = {name: len(with_call(read_examples(DATA / f"{name}.jsonl", pool))) for name in ("test", "ood")}
    for row in rows.values():
        assert {name: row["n"][name] for name in num_calls} == num_calls
        assert row["n"]["ood_seen"] + row["n"]["ood_unseen"] == row["n"]["ood"]
        assert all(list(recall) == ["5", "7", "10", "15"] for recall in row["recall"].values())
    assert not rows["classifier"]["extensible"] and rows["dialogue"]["extensible"]
    measure("twice")
    assert Path("data/results/twice.json").read_bytes() == Path("data/results/retrieval.json").read_bytes()


def test_the_classifier_never_finds_what_it_was_not_trained_on(project):
    """Were they found, functions that the split holds out would have leaked into training."""
    unseen = set(measure("leak")["classifier"]["recall"]["ood_unseen"].values())
    assert unseen == {0.0}


def test_descriptions_are_rows_where_their_file_is_given(project):
    test = with_call(read_examples(DATA / "test.jsonl", read_functions(FUNCTIONS)))
    path = project / "data/descriptions/optimized.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps({"id": e.id, "description": e.answers[0].name}) + "\n" for e in test[:5]))
    rows = measure("described", optimized=path)
    assert [name for name in rows if name not in measure("retrieval")] == ["optimized", "optimized_instructed"]
    assert all(row["n"] == {"test": 5} for row in rows.values())


def test_an_encoder_without_heads_is_no_classifier(project):
    with pytest.raises(UserError, match="no encoder with heads"):
        retrieval.main(ENCODER, ENCODER, FUNCTIONS, DATA / "test.jsonl", DATA / "ood.jsonl", Path("x.json"))
    assert not Path("x.json").exists()
