"""From descriptions to Algorithm 1 to the trained describer and Table 5, in process, on random tiny models."""

import csv
import json
from pathlib import Path

import pytest

from stages import describer, reject, retrieval, retriever, sft
from supertiny.core.errors import UserError
from supertiny.core.records import read_examples, read_functions
from supertiny.model import answer
from supertiny.retrieval.recall import with_call
from tests.project import changed, have_base, have_dataset, smoke_project

DATA, MODELS, WRITTEN = Path("data/dataset"), Path("data/models"), Path("data/descriptions")
POOL = DATA / "train.reference.jsonl"
TABLE = Path("data/results/retrieval.json")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder in which every stage up to the trained describer has run once."""

    def change(params, profile):
        params["describe"] |= {"num_examples": 2, "chat": {"temperature": 0.0, "max_new_tokens": 4}}
        params["reject"]["chat"]["max_new_tokens"] = 4
        params["describer"] |= {"group_size": 3, "groups_a_step": 1}
        profile["sizes"]["sft"] = {"examples": 12, "dev_examples": 6}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("llm", "encoder")
        learning = {"rows": POOL, "data": DATA}
        sft.main("sft", MODELS / "llm", **learning, out=MODELS / "sft", log=Path("data/logs/sft.csv"))
        retriever.main(MODELS / "encoder", **learning, out=MODELS / "retriever", log=Path("data/logs/retriever.csv"))
        keep("kept")
        train("describer")
        yield folder


def keep(name):
    paths = {"data": DATA, "out": WRITTEN / f"{name}.jsonl", "report": Path(f"data/results/{name}.json")}
    reject.main(MODELS, MODELS / "sft", **paths)


def train(name):
    describer.main(MODELS / "llm", WRITTEN / "kept.jsonl", DATA, MODELS / name, Path(f"data/logs/{name}.csv"))


def lines(name):
    return [json.loads(line) for line in (WRITTEN / f"{name}.jsonl").read_text().splitlines()]


def calls(path):
    return with_call(read_examples(path, read_functions(DATA / "functions.json")))


def test_rejection_counts_what_it_tried_and_labelled_queries_join(project):
    """Smoke: 4 queries, 2 samples each, then 6 labelled ones with the document of their function."""
    found = json.loads(Path("data/results/kept.json").read_text())
    assert (found["judge"], found["queries"], found["described"], found["labelled"]) == ("reference", 4, 8, 6)
    assert found["different"] <= 8 - found["empty"]
    assert found["kept"] <= found["right"] <= found["different"]
    assert sum(row["tried"] for row in found["by_function"].values()) == found["different"]
    rows, pool = calls(POOL), read_functions(DATA / "functions.json")
    kept = lines("kept")
    assert len(kept) == found["kept"] + 6
    assert [line["id"] for line in kept[-6:]] == [one.id for one in rows[4:10]]
    assert kept[-1]["description"] == pool[rows[9].answers[0].name].description


def test_training_learns_the_kept_descriptions_and_makes_the_same_bytes_twice(project):
    rows = list(csv.DictReader((project / "data/logs/describer.csv").open()))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    train("again")
    for file in sorted((MODELS / "describer").iterdir()):
        assert (MODELS / "again" / file.name).read_bytes() == file.read_bytes()


def test_a_second_rejection_asks_nothing_and_writes_the_same(project, monkeypatch):
    def never(*_, **__):
        raise AssertionError("asked again")

    monkeypatch.setattr(answer.Loaded, "answer", never)
    keep("twice")
    for path in ("data/descriptions/{}.jsonl", "data/results/{}.json"):
        assert Path(path.format("twice")).read_bytes() == Path(path.format("kept")).read_bytes()


def test_rejection_from_nothing_writes_the_same_bytes(project, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "empty"))
    keep("afresh")
    assert Path("data/results/afresh.json").read_bytes() == Path("data/results/kept.json").read_bytes()
    assert lines("afresh") == lines("kept")


def test_table_5_is_of_the_same_queries_in_every_row(project, monkeypatch):
    """The first queries that need a function: both models describe each of them."""
    described, table = {}, retrieval.table

    def spy(classifier, embed, pool, splits, written, cfg):
        described.update(written)
        return table(classifier, embed, pool, splits, written, cfg)

    monkeypatch.setattr(retrieval, "table", spy)
    retrieval.main(MODELS, DATA, TABLE)
    wanted = [one.id for name in ("test", "ood") for one in calls(DATA / f"{name}.jsonl")[:4]]
    assert {name: list(texts) for name, texts in described.items()} == {"zero_shot": wanted, "optimized": wanted}
    assert all(text for texts in described.values() for text in texts.values())
    rows = json.loads(TABLE.read_text())
    assert list(rows) == [
        "classifier", "query_name", "query_description", "query_parameters", "dialogue",
        "zero_shot", "zero_shot_instructed", "optimized", "optimized_instructed",
    ]  # fmt: skip
    assert all((row["n"]["test"], row["n"]["ood"]) == (4, 4) for row in rows.values())


def test_too_many_examples_to_show_stop_before_any_work(project):
    more = changed(Path("params.yaml"), lambda params: params["describe"].update(num_examples=1000))
    with more, pytest.raises(UserError, match=r"describe\.num_examples: 1000"):
        retrieval.main(MODELS, DATA, Path("data/results/never.json"))
    assert not Path("data/results/never.json").exists()
