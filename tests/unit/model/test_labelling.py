"""A labeller learns what its rows tell apart, and its folder gives it back."""

import pytest

from supertiny.core.errors import UserError
from supertiny.model import classifier
from supertiny.model.classifier import label_log_probabilities, load_labeller, train_labeller
from supertiny.model.config import FitConfig, LabellingConfig, TrainMachine
from supertiny.model.train import Job

FIT = FitConfig(learning_rate=1e-2, warmup_share=0.1, schedule="linear", weight_decay=0.0, max_grad_norm=1.0)
MACHINE = TrainMachine(
    precision="float32", max_tokens=256, gradient_checkpointing=False, save_minutes=5.0, processes=8
)  # fmt: skip


def test_a_labeller_learns_and_is_given_back(tiny_folder, tmp_path, monkeypatch):
    """Eight processes asked for, one trains: the text's letter is its label."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rows = [("aaaa", "A"), ("bbbb", "B"), ("aa", "A"), ("bb", "B")]
    cfg = LabellingConfig(epochs=15, texts_a_step=2, dev_points=3, fit=FIT)
    job = Job(tiny_folder, tmp_path / "m", tmp_path / "log.csv", MACHINE)
    model = train_labeller(job, ["A", "B"], rows, rows[:2], cfg, 0)
    scores = label_log_probabilities(model)(["aaa", "bbb"])
    assert scores[0][0] > scores[0][1] and scores[1][1] > scores[1][0]
    assert load_labeller(tmp_path / "m")(["aaa", "bbb"]) == scores
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert len(lines) == 1 + 30 and sum(not line.endswith(",") for line in lines[1:]) == 3


def test_only_the_first_of_several_processes_writes_the_model(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(classifier, "is_first", lambda: False)
    cfg = LabellingConfig(epochs=1, texts_a_step=2, dev_points=0, fit=FIT)
    job = Job(tiny_folder, tmp_path / "m", tmp_path / "log.csv", MACHINE)
    model = train_labeller(job, ["A"], [("a", "A")], [], cfg, 0)
    assert model.labels == ["A"] and not (tmp_path / "m").exists()


@pytest.mark.parametrize(("field", "value"), [("epochs", 0), ("texts_a_step", 0), ("dev_points", -1)])
def test_config_ranges(field, value):
    with pytest.raises(UserError, match=field):
        LabellingConfig(**{"epochs": 1, "texts_a_step": 1, "dev_points": 0, "fit": FIT} | {field: value})
