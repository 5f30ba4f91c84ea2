"""Every name of a retriever stands for one, and says which stage makes the model that it misses."""

import shutil

import pytest

from supertiny.core.calls import Function
from supertiny.core.errors import UserError
from supertiny.core.records import Example
from supertiny.retrieval.index import document
from supertiny.retrieval.retrievers import retriever

FAN = Function("turn_on_fan", "Turns on a fan")


@pytest.fixture
def models(tmp_path, tiny_folder):
    """The folders of models of both writers; the encoder is a random one."""
    for name in ("llm", "describer", "encoder"):
        shutil.copytree(tiny_folder, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(("kind", "folder"), [("described", "llm"), ("optimized", "describer")])
def test_what_the_model_of_the_kind_writes_is_searched_for(models, pool, kind, folder):
    """The stub writes the document itself, whose cosine is 1 whatever the encoder."""
    given = []

    def writer(model):
        given.append(model)
        return lambda examples: [document(FAN, "description") for _ in examples]

    found = retriever(kind, models, pool, "description", writer)
    found.add(FAN)
    ((name, cosine), *_) = found.scored([Example(id="1", query="too hot")])[0]
    assert (name, given) == ("turn_on_fan", [models / folder]) and cosine == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "missing", "stage"),
    [
        ("classifier", "retriever", "retriever"),
        ("embedding", "encoder", "base"),
        ("described", "llm", "base"),
        ("optimized", "describer", "describer"),
    ],
)
def test_a_missing_model_names_its_stage_before_anything_is_loaded(models, pool, kind, missing, stage):
    shutil.rmtree(models / missing, ignore_errors=True)

    def never(model):
        raise AssertionError

    with pytest.raises(UserError, match=rf"{missing}: there is no model here; make it with `dvc repro {stage}`"):
        retriever(kind, models, pool, "description", never)


def test_an_unknown_name_is_told_the_known_ones(models, pool):
    with pytest.raises(UserError, match=r"--by: expected one of classifier, embedding, described, optimized, got 'x'"):
        retriever("x", models, pool, "description", lambda model: list)
