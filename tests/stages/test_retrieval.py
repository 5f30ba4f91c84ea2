"""The classifier retriever from training to Table 5, in process, on a random tiny encoder."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from stages import retrieval, retriever
from supertiny.core.errors import UserError
from supertiny.core.records import read_examples, read_functions
from supertiny.model import train as fit_module
from supertiny.model.encoder import load_headed
from supertiny.retrieval.recall import with_call
from tests.project import have_base, have_dataset, smoke_project

DATA = Path("data/dataset")
MODELS = Path("data/models")
FUNCTIONS = DATA / "functions.json"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a dataset, a random encoder and that encoder trained on a few examples.

    Two random models describe every query, in a token or two.
    """

    def change(params, profile):
        params["retriever"] |= {"epochs": 2, "dev_points": 2}
        params["describe"] |= {"num_examples": 1, "chat": {"temperature": 0.0, "max_new_tokens": 2}}
        profile["sizes"]["describe"] |= {"test": 0, "ood": 0}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("encoder", "llm", "student")
        (MODELS / "student").rename(MODELS / "describer")
        train("retriever")
        yield folder


def train(name, rows=DATA / "train.reference.jsonl"):
    retriever.main(MODELS / "encoder", rows, DATA, MODELS / name, Path(f"data/logs/{name}.csv"))


def measure(name):
    out = Path(f"data/results/{name}.json")
    retrieval.main(MODELS, DATA, out)
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
    assert list(rows) == [
        "classifier", "query_name", "query_description", "query_parameters", "dialogue",
        "zero_shot", "zero_shot_instructed", "optimized", "optimized_instructed",
    ]  # fmt: skip
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


def test_an_encoder_without_heads_is_no_classifier(project):
    for name in ("llm", "describer", "encoder"):
        shutil.copytree(MODELS / name, Path("other") / name)
    shutil.copytree(MODELS / "encoder", Path("other/retriever"))
    with pytest.raises(UserError, match="no encoder with heads"):
        retrieval.main(Path("other"), DATA, Path("x.json"))
    assert not Path("x.json").exists()
