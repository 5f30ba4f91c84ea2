import csv
import json
from pathlib import Path

import pytest

from stages import row
from stages.report import main
from supertiny.core.errors import UserError
from supertiny.report.rows import model_configs

TABLES = [
    "logits",
    "distance",
    "ablation",
    "adapter",
    "descriptions",
    "functions",
    "judge",
    "learning",
    "pareto",
    "response",
    "retrieval",
    "rft",
    "rl",
    "compression",
]
DRAWN = ["distance", "ablation", "judge", "learning", "pareto", "retrieval", "rl", "compression"]
FILES = sorted(["results.md", "summary.json", *(f"{name}.csv" for name in TABLES), *(f"{name}.svg" for name in DRAWN)])
STEPS = ["retrieval", "descriptions", "judge", "rft", "logits", "distance", "rl", "compression", "ablation", "adapter"]


def report(out="metrics"):
    main(Path("stats.json"), Path("results"), Path("logs"), Path(out))
    return {path.name: path.read_bytes() for path in sorted(Path(out).iterdir())}


def test_writes_every_file_and_the_same_bytes_twice(project):
    first = report()
    assert list(first) == FILES
    assert report("again") == first


def test_rows_stand_in_the_order_of_params(project):
    summary = json.loads(report()["summary.json"])
    assert list(summary) == ["data", "sft", "tiny", *STEPS]
    assert summary["data"]["functions"] == 71


def test_what_is_no_language_model_is_a_row_too_and_comes_first(project):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("systems: {}", "systems: {old: {title: old, log: null}}"))
    Path("results/tiny").rename("results/old")
    params.write_text(
        "".join(
            line for line in params.read_text().replace("[sft, tiny]", "[sft]").splitlines(True) if "tiny" not in line
        )
    )
    assert list(json.loads(report()["summary.json"])) == ["data", "old", "sft", *STEPS]


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
    ("file", "stage"),
    [
        ("rft.json", "rft"),
        ("descriptions.json", "reject"),
        ("judge.json", "judge"),
        ("baseline/adapter.json", "baseline_results"),
    ],
)
def test_a_step_without_results_is_one_clear_error_that_names_its_stage(project, file, stage):
    Path("results", file).unlink()
    with pytest.raises(UserError, match=rf"results/{file} does not exist; .*`dvc repro {stage}`"):
        report()
    assert not Path("metrics").exists()


@pytest.mark.parametrize("name", ["data", "judge"])
def test_a_model_cannot_take_the_name_of_another_row(project, name):
    models = f"models: {{{name}: {{title: t, log: null, asked: models}}}}\n"
    Path("params.yaml").write_text(f"profile: smoke\nsystems: {{}}\n{models}bench: {{clients: [1], models: []}}\n")
    Path("results/tiny").rename(f"results/{name}")
    with pytest.raises(UserError, match=f"models: {name}: a row of summary.json"):
        report()
    assert not Path("metrics").exists()


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("{}", "'models': expected at least one"),
        ("{sft: {title: s}}", "sft"),
        ("{sft: {title: 'a|b', log: null, asked: models}}", "title: no"),
        ("{sft: {}}", "sft"),
    ],
)
def test_a_wrong_declaration_names_its_key(project, models, message):
    Path("params.yaml").write_text(f"profile: smoke\nsystems: {{}}\nmodels: {models}\n")
    with pytest.raises(UserError, match=message):
        model_configs()


def test_a_model_without_a_load_test_has_no_row_there(project):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("models: [sft, tiny]", "models: [sft]"))
    Path("results/tiny/bench.json").unlink()
    results = report()
    assert "qps" not in json.loads(results["summary.json"])["tiny"]
    page = results["results.md"].decode()
    assert sum(line.startswith("| tiny |") for line in page.splitlines()) == 3  # quality, failures, knowledge
    assert "tiny" in results["pareto.svg"].decode()


def test_a_load_test_of_no_model_is_refused(project):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("models: [sft, tiny]", "models: [sft, huge]"))
    with pytest.raises(UserError, match=r"bench\.models: 'huge' is none of the models sft, tiny"):
        report()


def test_a_system_shows_its_row_before_the_report(project, capsys):
    row.main("sft", Path("results/sft"), Path("results/sft/row.md"))
    page = Path("results/sft/row.md").read_text()
    assert page in capsys.readouterr().out
    report()
    results = Path("metrics/results.md").read_text().splitlines()
    lines = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| model")]
    assert len(lines) == 2 and set(lines) <= set(results)
    with pytest.raises(UserError, match="--name: expected one of sft, tiny, got 'big'"):
        row.main("big", Path("results/sft"), Path("row.md"))
