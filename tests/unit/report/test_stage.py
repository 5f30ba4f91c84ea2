import csv
import json
from pathlib import Path

import pytest

from stages.report import main
from supertiny.core.errors import UserError
from supertiny.report.models import model_configs

FILES = ["functions.csv", "learning.csv", "learning.svg", "pareto.csv", "pareto.svg", "results.md", "summary.json"]


def report(out="metrics"):
    main(Path("stats.json"), Path("results"), Path("logs"), Path(out))
    return {path.name: path.read_bytes() for path in sorted(Path(out).iterdir())}


def test_writes_every_file_and_the_same_bytes_twice(project):
    first = report()
    assert list(first) == FILES
    assert report("again") == first


def test_rows_stand_in_the_order_of_params(project):
    summary = json.loads(report()["summary.json"])
    assert list(summary) == ["data", "sft", "tiny"]
    assert summary["data"]["functions"] == 71


def test_what_is_no_language_model_is_a_row_too_and_comes_first(project):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("systems: {}", "systems: {old: {title: old, log: null}}"))
    Path("results/tiny").rename("results/old")
    params.write_text("".join(line for line in params.read_text().splitlines(True) if "tiny" not in line))
    assert list(json.loads(report()["summary.json"])) == ["data", "old", "sft"]


def test_curves_of_logged_models_alone_and_short(project):
    report()
    rows = list(csv.DictReader(Path("metrics/learning.csv").read_text().splitlines()))
    assert {row["model"] for row in rows} == {"sft"}
    assert len(rows) <= 304 and sum(bool(row["dev_loss"]) for row in rows) == 3


def test_a_result_file_that_no_model_declares_is_not_read(project):
    Path("results/old").mkdir()
    Path("results/old/rates.json").write_text("broken")
    report()


def test_a_model_without_results_is_one_clear_error_and_leaves_nothing(project):
    Path("results/tiny/bench.json").unlink()
    with pytest.raises(UserError, match=r"results/tiny/bench\.json does not exist"):
        report()
    assert not Path("metrics").exists()


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("{}", "'models': expected at least one"),
        ("{data: {title: d, log: null}}", "models: data"),
        ("{sft: {title: s}}", "sft"),
        ("{sft: {title: 'a|b', log: null}}", "title: no"),
        ("{sft: {}}", "sft"),
    ],
)
def test_a_wrong_declaration_names_its_key(project, models, message):
    Path("params.yaml").write_text(f"profile: smoke\nsystems: {{}}\nmodels: {models}\n")
    with pytest.raises(UserError, match=message):
        model_configs()
