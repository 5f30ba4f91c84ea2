import csv
import json
import sys
from pathlib import Path
from subprocess import run

import pytest
from matplotlib.figure import Figure

from stages.report import main
from supertiny.core.calls import Call, Fault, Function, Syntax
from supertiny.core.errors import UserError
from supertiny.core.records import read_functions
from supertiny.measure.systems import declared
from supertiny.prototype.judges import LABELS
from supertiny.report.page import made
from supertiny.report.rows import flat, read_facts, readers

from .conftest import CALL, FRAME, PARAMS, answer, write_answers, write_log, write_results

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
    "steps",
    "systems",
]
DRAWN = ["distance", "ablation", "judge", "learning", "pareto", "retrieval", "rl", "compression"]
FILES = sorted(["results.md", "summary.json", *(f"{name}.csv" for name in TABLES), *(f"{name}.svg" for name in DRAWN)])
STEPS = ["retrieval", "descriptions", "judge", "rft", "logits", "distance", "rl", "compression"]
"""in summary.json"""
OLD = "  old: {kind: traditional, model: baseline, asked: models, title: old}\n"
POLICY = "  star: {kind: model, model: tiny_rl, asked: policies, title: star}\n"


DRAWS = {
    "test_writes_every_file_and_the_same_bytes_twice",
    "test_a_system_without_a_load_test_has_no_row_there",
}
"""tests that look at pictures: rendering is most of a report's time"""


@pytest.fixture(autouse=True)
def _hardly_drawn(request, monkeypatch):
    if request.node.name not in DRAWS:
        monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: Path(path).write_text("<svg/>"))


def report(out="metrics"):
    main(Path("data"), Path("results"), Path("logs"), Path("judge"), Path(out))
    return {path.name: path.read_bytes() for path in sorted(Path(out).iterdir())}


def summary(files):
    return json.loads(files["summary.json"])


def declare(*pairs):
    """Change params.yaml."""
    text = Path("params.yaml").read_text()
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    Path("params.yaml").write_text(text)


def add(name, line):
    """One more system with all its files, the first of them all."""
    declare(("systems:\n", f"systems:\n{line}"))
    write_results(Path("results", name), FRAME if "traditional" in line else CALL)


def test_writes_every_file_and_the_same_bytes_twice(project):
    first = report()
    assert list(first) == FILES
    assert report("again") == first


def test_rows_stand_in_the_order_of_params(project):
    found = summary(report())
    assert list(found) == ["data", "sft", "tiny", *STEPS]
    assert found["data"] == {"test_size": 2000, "functions": 71}


def test_what_is_no_language_model_is_a_row_too_and_has_an_adapter(project):
    add("old", OLD)
    size = {"configs": [json.loads(Path("results/sft/size.json").read_text())["config"]], "parameters_m": 1.0}
    Path("results/old/size.json").write_text(json.dumps({**size, "weights_mb": 4.0}))
    rates = json.loads(Path("results/old/rates.json").read_text())
    rates["workload"]["encoder_passes"] = 1.5
    Path("results/old/rates.json").write_text(json.dumps(rates))
    write_log(Path("logs/baseline.csv"), ["part", "step", "loss"], 3)
    files = report()
    assert list(summary(files)) == ["data", "old", "sft", "tiny", *STEPS, "adapter"]
    assert summary(files)["old"]["mb"] == 4.0
    assert "| 1 | 1 | 3 | 3 | 0 |" in files["results.md"].decode(), "a query asked without its note counts again"


def test_summary_holds_what_decides_and_the_tables_all_of_it(project):
    files = report()
    found = summary(files)
    assert set(found["sft"]) >= {
        "n",
        "ar",
        "ar_low",
        "ar_high",
        "ood_ar",
        "ood_unseen",
        "gflops",
        "mb",
        "qps",
        "p50_ms",
    }
    assert len(flat(found)) < 50
    rows = {row["system"]: row for row in csv.DictReader(files["systems.csv"].decode().splitlines())}
    assert (
        rows["sft"]["qps.cc1"] == "4.0" and rows["tiny"]["qps.cc64"] == "180.0" and rows["sft"]["new_tokens"] == "18.0"
    )
    steps = {(row["step"], row["figure"]) for row in csv.DictReader(files["steps.csv"].decode().splitlines())}
    assert {("data", "ttr"), ("judge", "llm.kappa"), ("compression", "tiny_cut.search.perplexity")} <= steps


def test_eighteen_systems_have_less_than_three_hundred_figures(project):
    for at in range(16):
        name = f"m{at}"
        add(name, f"  {name}: {{kind: model, model: {name}, asked: compressed, title: {name}}}\n")
        declare(("quantize: {", f"quantize: {{{name}: {{base: sft, scheme: w8a16}}, "))
        declare(("served:\n", f"served:\n  {name}: {{kind: model, model: {name}, asked: compressed, title: {name}}}\n"))
    assert len(flat(summary(report()))) <= 300


def test_a_compressed_model_is_compared_with_what_it_was_made_of(project):
    files = report()
    assert summary(files)["compression"] == {"tiny": {"recovery": 1.0}, "smallest": {"name": "sft", "weights_mb": 0.5}}
    page = files["results.md"].decode()
    assert "| tiny | fine-tuned | 1.000 [0.206, 1.000] † | 1 | 1.000 † |" in page
    assert "1.000 † | 0.98, kept |" in page
    assert "Shapes of *tiny*: at most 0.7" in page and "Shapes of *small*" not in page
    blocks = [row for row in csv.DictReader(files["compression.csv"].decode().splitlines()) if row["kind"] == "block"]
    assert [row["value"] for row in blocks] == ["0.5", "0.125"]


def test_systems_that_were_asked_fewer_have_a_table_of_their_own_with_the_teacher(project):
    """All rows of a table are over the same queries: of the teacher, which answered two, one counts there."""
    row = json.loads(Path("data/test.jsonl").read_text())
    Path("data/test.jsonl").write_text("".join(json.dumps(row | {"id": name}) + "\n" for name in ("t1", "t2")))
    few = [answer("t1"), answer("t1-bare", correct=False), answer("t2-bare", correct=False), answer("o1")]
    write_answers(Path("results/tiny"), few)
    write_answers(Path("results/sft"), [*few, answer("t2", correct=False)])
    files = report()
    lines = files["pareto.csv"].decode().splitlines()
    points = {(row["model"], row["queries"][0]): row for row in csv.DictReader(lines)}
    assert list(points) == [("sft", "2"), ("sft", "1"), ("tiny", "1")]
    assert [row["ar"] for row in points.values()] == ["0.5", "1.0", "1.0"]
    assert (summary(files)["sft"]["n"], summary(files)["tiny"]["n"]) == (2, 1), "its own row is over all it was asked"
    quality = files["results.md"].decode().split("## Where")[0]
    told = "On 1 in-domain and 1 OOD queries, of 1 templates in domain, 1 for 1 functions never trained on:"
    assert quality.index("| fine-tuned | 0.500") < quality.index(told) < quality.index("| fine-tuned | 1.000")
    functions = csv.DictReader(files["functions.csv"].decode().splitlines())
    assert [row["ar"] for row in functions if row["split"] == "test"] == ["0.5", "1.0", "1.0"]


def test_the_classifier_judges_every_answer_once_more_where_it_was_held_against_the_experts(project, monkeypatch):
    """It takes each text for right that calls a function, and is asked no text twice."""
    declare(("calibrate: [reference]", "calibrate: [reference, classifier]"))
    asked = []

    def label(texts):
        asked.extend(texts)
        sure, unsure = [0.0] + [-9.0] * (len(LABELS) - 1), [-9.0] * (len(LABELS) - 1) + [0.0]
        return [sure if text.startswith("lock") else unsure for text in texts]

    monkeypatch.setattr("stages.report._labeller", lambda folder: label)
    write_answers(Path("results/tiny"), [answer("t1", written="Request unclear"), answer("t1-bare"), answer("o1")])
    files = report()
    rows = {row["system"]: row for row in csv.DictReader(files["systems.csv"].decode().splitlines())}
    assert (rows["sft"]["ar_by.classifier"], rows["tiny"]["ar_by.classifier"]) == ("1.0", "0.0")
    assert (rows["tiny"]["ar"], rows["tiny"]["ood.ar_by.classifier"]) == ("1.0", "1.0")
    assert len(asked) == len(set(asked)) == 2
    assert "## The same answers by other judges" in files["results.md"].decode()


@pytest.mark.parametrize(
    ("kind", "syntax", "written"),
    [
        ("model", Syntax.json, f"<think>lock it</think><answer>{CALL}</answer>"),
        ("model", Syntax.json, CALL),
        ("model", Syntax.python, "<think>lock it</think><answer>lock()</answer>"),
        ("model", Syntax.python, "lock()"),
        *(("prototype", syntax, f'{{"thought": "lock it", "answer": {CALL}}}') for syntax in Syntax),
        *(("traditional", syntax, FRAME) for syntax in Syntax),
    ],
)
def test_what_each_kind_of_system_wrote_is_read_as_it_was(kind, syntax, written):
    pool = {"lock": Function("lock", "Locks", domain="home")}
    assert readers(syntax)[kind](written, pool) == Call("lock", {})


def test_what_small_models_wrote_is_read_in_the_syntax_of_the_prompt(project):
    replies = []
    for syntax in Syntax:
        declare(("answer: json", f"answer: {syntax}"))
        facts = read_facts(Path("data"), Path("results"), Path("logs"), read_functions(Path("data/functions.json")), {})
        replies.append(facts.answers["sft"]["t1"].reply)
    assert replies[0] == Call("lock", {}) and replies[1].fault is Fault.NOT_A_CALL


def test_missing_answers_are_named(project):
    Path("results/tiny/answers.jsonl").unlink()
    with pytest.raises(UserError, match=r"results/tiny/answers\.jsonl does not exist; run the stage"):
        report()


def test_an_answer_to_a_query_that_the_tests_have_not_is_named(project):
    write_answers(Path("results/tiny"), [answer("t1"), answer("t9")])
    with pytest.raises(UserError, match=r"results/tiny/answers\.jsonl: 't9' is no query of the tests"):
        report()


def test_a_policy_is_compared_with_the_system_it_was_trained_from(project):
    add("star", POLICY)
    declare(
        ("trained:\n", "trained:\n  think: {tiny: {base: sft}}\n"), ("tiny: {base: tiny_cut", "other: {base: tiny_cut")
    )
    declare(("asked: compressed", "asked: models"))
    declare(("traces: {}", "traces: {star: {policy: star}}"))
    Path("results/traces").mkdir()
    Path("results/traces/star.json").write_text(json.dumps({"asked": 9, "kept": 7, "rule_made": 2, "words": 3.5}))
    write_log(Path("logs/tiny.csv"), ["step", "loss"], 3)
    page = report()["results.md"].decode()
    assert "| star | 18.0 | 1.000 [0.206, 1.000] † | 1 | 0.000 [-0.793, 0.793] † |" in page
    assert "| fine-tuned | 18.0 | 1.000 [0.206, 1.000] † | 1 | - |" in page
    assert "The star was asked 9 queries after RL." in page


@pytest.mark.parametrize("empty", ["{}", "null"])
def test_what_is_not_declared_is_left_out_and_nothing_fails(project, empty):
    lines = PARAMS.splitlines(keepends=True)
    kept = [
        line
        for line in lines
        if not line.startswith(("  shrink", "  quantize", "  rl", "  sft: {sft", "traces", "trained"))
    ]
    tables = "".join(
        f"  {name}: {empty}\n" for name in ("sft", "shrink", "recover", "distill", "think", "rl", "quantize")
    )
    text = "".join(kept).split("served:")[0].replace("compressed", "models")
    Path("params.yaml").write_text(f"{text}served: {empty}\ntrained:\n{tables}traces: {empty}\n")
    files = report()
    assert list(files) == FILES
    assert list(summary(files)) == [
        "data",
        "sft",
        "tiny",
        *(name for name in STEPS if name not in ("rl", "compression")),
    ]
    assert files["rl.csv"].decode().startswith("run,step,reward") and files["rl.csv"].count(b"\n") == 1
    assert files["compression.csv"] == b"kind,name,value\n" and files["learning.csv"] == b"model,step,loss,dev_loss\n"
    assert files["response.csv"] == b"model,of,clients,p50,p95\n"
    page = files["results.md"].decode()
    assert not any(
        title in page for title in ("Reinforcement learning", "Pruning and quantization", "The adapter", "cc1")
    )


def test_curves_of_logged_models_alone_and_short(project):
    report()
    rows = list(csv.DictReader(Path("metrics/learning.csv").read_text().splitlines()))
    assert {row["model"] for row in rows} == {"sft"}
    assert len(rows) <= 304 and sum(bool(row["dev_loss"]) for row in rows) == 3


def test_a_result_file_that_no_model_declares_is_not_read(project):
    Path("results/old").mkdir()
    Path("results/old/rates.json").write_text("broken")
    report()


@pytest.mark.parametrize("file", ["bench.json", "rates.json", "size.json", "answers.jsonl"])
def test_a_model_without_results_is_one_clear_error_and_leaves_nothing(project, file):
    Path("results/tiny", file).unlink()
    with pytest.raises(UserError, match=rf"results/tiny/{file} does not exist"):
        report()
    assert not Path("metrics").exists()


@pytest.mark.parametrize(
    ("file", "stage"), [("rft.json", "rft"), ("descriptions.json", "reject"), ("judge.json", "judge")]
)
def test_a_step_without_results_is_one_clear_error_that_names_its_stage(project, file, stage):
    Path("results", file).unlink()
    with pytest.raises(UserError, match=rf"results/{file} does not exist; .*`dvc repro {stage}`"):
        report()
    assert not Path("metrics").exists()


@pytest.mark.parametrize("name", ["data", "judge"])
def test_a_system_cannot_take_the_name_of_another_row(project, name):
    add(name, f"  {name}: {{kind: model, model: m, asked: models, title: t}}\n")
    with pytest.raises(UserError, match=f"systems: {name}: a row of summary.json"):
        report()
    assert not Path("metrics").exists()


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ("{}", "'systems': expected at least one"),
        ("{sft: {title: s}}", "sft"),
        ("{sft: {kind: model, model: m, asked: models, title: 'a|b'}}", "title: no"),
        (
            "{sft: {kind: robot, model: m, asked: models, title: t}}",
            "kind: expected one of model, prototype, traditional",
        ),
        ("{sft: {}}", "sft"),
    ],
)
def test_a_wrong_declaration_names_its_key(project, systems, message):
    Path("params.yaml").write_text(f"profile: smoke\nsystems: {systems}\n")
    with pytest.raises(UserError, match=message):
        declared()


def test_a_system_without_a_load_test_has_no_row_there(project):
    declare(("  tiny: {kind: model, model: tiny, asked: compressed, title: tiny}\ntraces", "traces"))
    Path("results/tiny/bench.json").unlink()
    results = report()
    assert "qps" not in summary(results)["tiny"]
    page = results["results.md"].decode()
    quality = page[: page.index("## Retrieval")]
    assert sum(line.startswith("| tiny |") for line in quality.splitlines()) == 3  # quality, failures, knowledge
    assert not any(line.startswith("| tiny |") for line in page[page.index("paper Table 4") :].splitlines())
    assert "tiny" in results["pareto.svg"].decode()


def test_a_load_test_of_no_system_or_of_another_is_refused(project):
    declare(("served:\n", "served:\n  huge: {kind: model, model: huge, asked: models, title: huge}\n"))
    with pytest.raises(UserError, match=r"served\.huge: is none of the systems sft, tiny"):
        report()
    Path("params.yaml").write_text(PARAMS.replace("title: tiny}\ntraces", "title: small}\ntraces"))
    with pytest.raises(UserError, match=r"served\.tiny: differs from systems\.tiny; write `tiny: \*tiny`"):
        report()


GRAPH = """\
stages:
  evaluate:
    foreach: ${systems}
    do: {cmd: x, outs: ["results/${key}/rates.json", "results/${key}/size.json", "results/${key}/answers.jsonl"]}
  bench: {foreach: "${served}", do: {cmd: x, outs: ["results/${key}/bench.json"]}}
  shrink: {foreach: "${trained.shrink}", do: {cmd: x, outs: ["results/${key}/search.json"]}}
  each: {foreach: [sft, tiny_rl], do: {cmd: x, outs: ["logs/${item}.csv"]}}
  mine: {cmd: x, outs: [results/mine, {results/mine.json: {cache: false}}]}
  nothing: {foreach: "${traces}", do: {cmd: x, outs: ["results/traces/${key}.json"]}}
  steps:
    foreach: [retrieval, descriptions, judge, rft, logits, distance, ablation]
    do: {cmd: x, outs: ["results/${item}.json"]}
"""


def test_what_no_stage_makes_is_removed_and_said_and_nothing_else_is(project, capsys):
    """A model that params.yaml had once; a stage of the user's own keeps its outs, and DVC's .gitignore stays."""
    Path("dvc.yaml").write_text(GRAPH)
    kept = [
        "results/mine/deep/a.json",
        "results/mine.json",
        "results/.gitignore",
        "results/sft/.gitignore",
        "other/x.csv",
    ]
    gone = ["results/old/rates.json", "results/sft/row.md", "results/old/.gitignore", "logs/old.csv"]
    kept += ["results/tiny_cut/.gitignore"]
    gone += ["results/traces/old.json"]
    for name in kept + gone:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")
    before = {path for path in Path().rglob("*") if path.is_file()}
    first = report()
    assert before - {path for path in Path().rglob("*") if path.is_file()} == {Path(name) for name in gone}
    assert not Path("results/old").exists() and not Path("results/traces").exists()
    said = capsys.readouterr().out
    assert all(name in said for name in gone) and said.count("\n") == 1
    assert report("again") == first and capsys.readouterr().out == ""


def test_the_graph_of_this_checkout_makes_what_the_report_reads(tmp_path):
    """Whatever is missing here, stage report would remove: every table of params.yaml, and every step."""
    from supertiny.core.config import read_yaml
    from tests.house import ROOT

    params = read_yaml(ROOT / "params.yaml")
    outs = made(read_yaml(ROOT / "dvc.yaml"), params)
    read = {f"data/results/{name}/{file}" for name in params["systems"] for file in ("rates.json", "size.json")}
    read |= {f"data/results/{name}/answers.jsonl" for name in params["systems"]}
    read |= {f"data/results/{name}/bench.json" for name in params["served"]}
    read |= {f"data/results/{name}/search.json" for name in params["trained"]["shrink"]}
    read |= {f"data/results/traces/{name}.json" for name in params["traces"]}
    steps = ("ablation", "judge", "rft", "logits", "descriptions", "retrieval", "distance")
    read |= {f"data/results/{name}.json" for name in steps}
    logged = ("sft", "recover", "distill", "think", "rl")
    read |= {f"data/logs/{name}.csv" for table in logged for name in params["trained"][table]}
    assert read | {"data/logs/baseline.csv"} <= outs


def test_it_imports_no_torch():
    code = "import stages.report, sys; print(*sorted(sys.modules.keys() & {'torch', 'transformers', 'dvc'}))"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
