"""From descriptions to Algorithm 1 to the trained describer and Table 5, in process, on random tiny models."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from stages import base, dataset, describe, describer, reject, retrieval, retriever, sft
from supertiny.core.errors import UserError
from supertiny.core.records import read_examples, read_functions
from supertiny.model import answer
from supertiny.retrieval.recall import with_call
from tests.project import smoke_project

DATA, MODELS, WRITTEN = Path("data/dataset"), Path("data/models"), Path("data/descriptions")
FUNCTIONS = DATA / "functions.json"
TESTS = {"test": DATA / "test.jsonl", "ood": DATA / "ood.jsonl"}
EXPERT = DATA / "expert.jsonl"
POOL = DATA / "train.reference.jsonl"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder in which every stage up to the trained describer has run once."""

    def change(params, profile):
        params["describe"] |= {"num_examples": 2, "chat": {"temperature": 0.0, "max_new_tokens": 4}}
        params["reject"]["chat"]["max_new_tokens"] = 4
        params["describer"] |= {"group_size": 3, "groups_a_step": 1}
        profile["sft"] = {"examples": 12, "dev_examples": 6}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        dataset.main(DATA)
        for role in ("llm", "encoder"):
            base.main(role, MODELS / role, MODELS / f"{role}.json")
        sft.main("sft", MODELS / "llm", FUNCTIONS, POOL, DATA / "dev.jsonl", MODELS / "sft", Path("data/logs/sft.csv"))
        write("zero_shot", "llm")
        keep("kept")
        train("describer")
        write("optimized", "describer", engine="native")
        yield folder


def write(name, model, **more):
    describe.main(MODELS / model, FUNCTIONS, EXPERT, **TESTS, out=WRITTEN / f"{name}.jsonl", **more)


def keep(name):
    models = {"llm": MODELS / "llm", "encoder": MODELS / "encoder", "caller": MODELS / "sft", "judge": MODELS / "judge"}
    out = {"out": WRITTEN / f"{name}.jsonl", "report": Path(f"data/results/{name}.json")}
    reject.main(**models, functions=FUNCTIONS, expert=EXPERT, reference=POOL, **out)


def train(name):
    describer.main(
        MODELS / "llm", FUNCTIONS, EXPERT, DATA / "train.jsonl", WRITTEN / "kept.jsonl",
        MODELS / name, Path(f"data/logs/{name}.csv"),
    )  # fmt: skip


def lines(name):
    return [json.loads(line) for line in (WRITTEN / f"{name}.jsonl").read_text().splitlines()]


def calls(path):
    return with_call(read_examples(path, read_functions(FUNCTIONS)))


def test_the_first_queries_that_need_a_function_are_described(project):
    wanted = [one.id for path in TESTS.values() for one in calls(path)[:4]]
    for name in ("zero_shot", "optimized"):
        assert [line["id"] for line in lines(name)] == wanted
        assert all(line["description"] for line in lines(name))


def test_rejection_counts_what_it_tried_and_labelled_queries_join(project):
    """Smoke: 4 queries, 2 samples each, then 6 labelled ones with the document of their function."""
    found = json.loads(Path("data/results/kept.json").read_text())
    assert (found["judge"], found["queries"], found["described"], found["labelled"]) == ("reference", 4, 8, 6)
    assert found["different"] <= 8 - found["empty"]
    assert found["kept"] <= found["right"] <= found["different"]
    assert sum(row["tried"] for row in found["by_function"].values()) == found["different"]
    rows, pool = calls(POOL), read_functions(FUNCTIONS)
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


def test_table_5_is_of_the_same_queries_in_every_row(project):
    retriever.main(
        MODELS / "encoder", FUNCTIONS, POOL, DATA / "dev.jsonl", MODELS / "retriever", Path("data/logs/r.csv")
    )
    out = Path("data/results/retrieval.json")
    given = {name: WRITTEN / f"{name}.jsonl" for name in ("zero_shot", "optimized")}
    retrieval.main(MODELS / "encoder", MODELS / "retriever", FUNCTIONS, **TESTS, out=out, **given)
    rows = json.loads(out.read_text())
    assert list(rows) == [
        "classifier", "query_name", "query_description", "query_parameters", "dialogue",
        "zero_shot", "zero_shot_instructed", "optimized", "optimized_instructed",
    ]  # fmt: skip
    assert all((row["n"]["test"], row["n"]["ood"]) == (4, 4) for row in rows.values())


def test_too_many_examples_to_show_stop_before_any_work(project):
    path = Path("params.yaml")
    kept = path.read_text()
    params = yaml.safe_load(kept)
    params["describe"]["num_examples"] = 1000
    path.write_text(yaml.safe_dump(params))
    try:
        with pytest.raises(UserError, match=r"describe\.num_examples: 1000"):
            write("never", "llm")
    finally:
        path.write_text(kept)
    assert not (WRITTEN / "never.jsonl").exists()
