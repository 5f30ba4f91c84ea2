"""One query on the terminal by every retriever of descriptions, in process, on random tiny models."""

import shutil
from pathlib import Path

import pytest

from supertiny.commands import ask
from supertiny.core.errors import UserError
from tests.project import have_base, have_dataset, smoke_project

MODELS = Path("data/models")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    def change(params, profile):
        params["prompt"]["answer"] = "json"  # a model that has learned nothing says no other
        params["describe"] |= {"num_examples": 2, "chat": {"temperature": 0.0, "max_new_tokens": 4}}

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("llm", "encoder")
        yield folder


@pytest.mark.parametrize(("by", "folder"), [("described", "llm"), ("optimized", "describer")])
def test_the_description_is_a_step_before_the_candidates(project, capsys, by, folder):
    if not (MODELS / folder).exists():
        with pytest.raises(UserError, match="data/models/describer: .*`dvc repro describer`"):
            ask.main("turn on the lights", model="llm", by=by)
        shutil.copytree(MODELS / "llm", MODELS / folder)
    ask.main("turn on the lights", model="llm", by=by)
    steps = [line for line in capsys.readouterr().out.splitlines() if line and not line.startswith(" ")]
    assert steps[:5] == ["query", "context", "knowledge", "searched for", "candidates"]
    assert "call" in steps
