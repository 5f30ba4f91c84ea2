"""Logs of runs as the report shows them."""

import csv

import pytest

from supertiny.core.errors import UserError
from supertiny.report.steps.rl import FOLLOWED, KEPT, history


def write(path, rewards, dev, kept=2, start=1.5):
    with path.open("w", newline="") as file:
        log = csv.DictWriter(file, ["step", *FOLLOWED, *KEPT])
        log.writeheader()
        for at, (reward, on_dev) in enumerate(zip(rewards, dev, strict=True), 1):
            values = dict.fromkeys(FOLLOWED, 0.5) | {"reward": reward, "dev_reward": on_dev, "dev_ar": on_dev}
            known = {"kept_step": kept, "start_reward": start} if on_dev != "" else {}
            log.writerow({"step": at, **values, **known})


def test_a_run_is_its_beginning_its_end_and_its_best_on_dev(tmp_path):
    """First three 1 2 3, last three 3 4 8; on dev steps 2 and 4 were asked, and 2 was better."""
    write(tmp_path / "a.csv", [1, 2, 3, 4, 8], ["", 2.5, "", 1.0, ""])
    found = history({"a": tmp_path / "a.csv"})["a"]
    assert (found["steps"], found["first"]["reward"], found["last"]["reward"]) == (5, 2.0, 5.0)
    assert found["best"] == {"step": 2.0, "dev_reward": 2.5, "start_reward": 1.5}
    assert found["first"]["dev_reward"] == 2.5 and found["curve"][0]["dev_reward"] is None


def test_where_none_beat_the_policy_before_training_that_one_is_the_best(tmp_path):
    write(tmp_path / "a.csv", [1, 2], ["", 1.0], kept=0)
    assert history({"a": tmp_path / "a.csv"})["a"]["best"] == {"step": 0.0, "dev_reward": 1.5, "start_reward": 1.5}


def test_a_run_never_asked_on_dev_has_no_best(tmp_path):
    write(tmp_path / "a.csv", [1.0], [""])
    assert history({"a": tmp_path / "a.csv"})["a"]["best"] is None


def test_a_missing_or_foreign_log_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.csv does not exist; run the stage"):
        history({"a": tmp_path / "a.csv"})
    (tmp_path / "a.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(UserError, match=r"a\.csv: not the log of a reinforcement"):
        history({"a": tmp_path / "a.csv"})
