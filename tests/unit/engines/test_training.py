"""What a model is trained on, and where params.yaml says so."""

from pathlib import Path

import pytest
import yaml

from supertiny.core.calls import Syntax
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig
from supertiny.engines.training import AskedModel, StoredLogits, TrainingPlan
from supertiny.model.trained import TABLES, training, way_to_train
from supertiny.sft import general
from supertiny.sft.general import GeneralSet, Instruction
from supertiny.sft.packs import TrainingSet
from tests.house import ROOT

DATA = GeneralSet([Instruction("turn on", "the light")], [], 0)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """params.yaml, changed."""
    monkeypatch.chdir(tmp_path)

    def change(**sections):
        params = yaml.safe_load((ROOT / "params.yaml").read_text())
        for name, section in sections.items():
            params[name] |= section
        Path("params.yaml").write_text(yaml.safe_dump(params))

    change()
    return change


def test_a_way_to_train_says_only_what_differs_from_all_others(project):
    params = yaml.safe_load(Path("params.yaml").read_text())["training"]
    found = way_to_train("teaching")
    assert found.fit.learning_rate == params["teaching"]["fit"]["learning_rate"]
    assert found.fit.weight_decay == params["common"]["fit"]["weight_decay"]
    assert found.frozen.embeddings is params["common"]["frozen"]["embeddings"]
    assert found.frozen.blocks == params["teaching"]["frozen"]["blocks"]


def test_every_model_of_the_graph_has_a_way_to_train(project):
    trained = yaml.safe_load(Path("params.yaml").read_text())["trained"]
    for table in TABLES:
        for name, entry in trained[table].items():
            assert training(table, name) == way_to_train(entry["how"])


def test_a_model_or_a_way_that_is_not_there_is_named_with_what_is(project):
    with pytest.raises(UserError, match=r"params\.yaml: trained\.sft: there is no 'huge' \(there are: .*sft, tiny_rft"):
        training("sft", "huge")
    project(trained={"distill": {"odd": {"base": "tiny", "how": "teching"}}})
    with pytest.raises(
        UserError, match=r"trained\.distill\.odd\.how: section training has no 'teching' \(it has: .*sft"
    ):
        training("distill", "odd")
    project(trained={"distill": {"odd": {"base": "tiny", "how": "common"}}})
    with pytest.raises(UserError, match=r"trained\.distill\.odd\.how: section training has no 'common'"):
        training("distill", "odd")
    project(trained={"distill": {"odd": {"base": "tiny"}}})
    with pytest.raises(UserError, match=r"trained\.distill.*how"):
        training("distill", "odd")


def test_a_file_of_general_texts_is_told_by_its_name(monkeypatch):
    monkeypatch.setattr(general, "read_general", lambda rows: ("general", rows))
    monkeypatch.setattr(general, "read_training_set", lambda data, rows: ("queries", data, rows))
    texts, queries, data = Path("data/mine/instructions.jsonl"), Path("data/rft/train.jsonl"), Path("data/dataset")
    assert general.read_rows(texts, data) == ("general", texts)
    assert general.read_rows(queries, data) == ("queries", data, queries)


def test_a_killed_runs_state_hangs_on_rows_numbers_and_what_its_teacher_says(project):
    cfg = way_to_train("general")
    plain = TrainingPlan(rows=DATA, cfg=cfg, teacher=None, divergence=None)
    assert plain.inputs == (cfg, DATA)
    for teacher in (StoredLogits(Path("logits")), AskedModel(Path("teacher"))):
        taught = TrainingPlan(rows=DATA, cfg=cfg, teacher=teacher, divergence="akl")
        assert set(map(str, taught.inputs)) == {str(next(iter(taught.inputs))), "akl", str(cfg), str(DATA)}
        assert isinstance(taught.inputs[0], Path), "counts by its content"


def test_a_model_is_marked_by_what_it_learns_besides_answers_in_json(project):
    cfg = way_to_train("thinking")

    def record(rows):
        return TrainingPlan(rows=rows, cfg=cfg, teacher=None, divergence=None).record

    in_json, python = (
        PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=0, answer=syntax)
        for syntax in Syntax
    )
    assert record(DATA) == record(TrainingSet([], [], {}, None, in_json, 0)) == {}
    assert record(TrainingSet([], [], {}, None, in_json, 0, {"1": "<think> ..."})) == {"thinks": True}
    assert record(TrainingSet([], [], {}, None, python, 0)) == {"answer": "python"}
    assert record(TrainingSet([], [], {}, None, python, 0, {"1": "..."})) == {"thinks": True, "answer": "python"}
