import re

import pytest

from supertiny.report.compare import MEASURES, GateConfig, models_table, verdicts
from supertiny.report.review import Change, Found, Picture, Revision, holds, write_page
from supertiny.report.tables import table

RATE = {"ar": 0.9, "ar_low": 0.88, "ar_high": 0.92, "n": 500}
BEFORE = {f"sft.{name}": value for name, value in RATE.items()} | {"sft.gflops": 20.0, "sft.qps": 4.0}
AFTER = BEFORE | {"sft.ar": 0.85, "sft.ar_low": 0.82, "sft.ar_high": 0.88, "sft.gflops": 15.0}
GATE = GateConfig(ar_drop=0.02, ood_ar_drop=0.05, gflops_rise=0.1, weights_rise=0.1, qps_drop=0.1)
GRAPH = 'flowchart TD\n\tnode1["prototype"]\n\tnode2["distill@tiny"]\n\tnode1-->node2'


def found(before=BEFORE, after=AFTER, **changed):
    usual = {
        "base": Revision(name="main", commit="b" * 40),
        "here": Revision(name="mu", commit="h" * 40),
        "titles": {"sft": "teacher", "same": "untouched"},
        "verdicts": verdicts(before, after, {"sft": GATE}),
        **dict.fromkeys(("stale", "notes", "params", "rerun", "pictures"), ()),
        "graph": GRAPH,
    }
    return Found(before=before, after=after, **(usual | changed))


def test_a_gate_that_does_not_hold_is_the_first_thing_said():
    page = write_page(found(), None)
    assert not holds(found())
    verdict = page.split("## ")[0]
    assert "**The gates do not hold.** 2 of 3 measures" in verdict
    assert "- ✗ teacher: AR, in domain falls by 0.050; allowed: 0.020" in verdict
    dear = write_page(found(after=BEFORE | {"sft.gflops": 25.0}), None)
    assert "- ✗ teacher: GFLOPs a request rises by 25.0 %; allowed: 10.0 %" in dear


def test_gates_that_hold_are_said_so_and_results_of_other_code_hold_none():
    same = found(after=BEFORE)
    assert holds(same) and "**All gates hold.** 3 of 3" in write_page(same, None)
    old = found(after=BEFORE, stale=["sft"])
    page = write_page(old, None)
    assert not holds(old) and "`dvc repro` would run `sft`" in page
    assert "**These are not the results of this code.** 3 of 3" in page


def test_the_table_shows_both_sides_with_interval_and_n_and_the_change():
    """By hand: .85 is .05 less than .9, 15 GFLOPs are a quarter less than 20; QPS is the same and one line."""
    titles = {"sft": "teacher", "same": "untouched"}
    shown = models_table(titles, BEFORE, AFTER, {("sft", MEASURES[0])})
    row = ["teacher", "0.900 [0.880, 0.920]<br>0.850 [0.820, 0.880]<br>✗ **-0.050**", "500", "-"]
    row += ["20.0<br>15.0<br>**-25.0 %**", "-", "4.000"]
    assert table(["x"] * 7, [row]).splitlines()[-1] in shown
    assert shown.endswith("Unchanged: untouched.")


def test_other_queries_a_new_model_and_one_that_is_gone_are_seen():
    more = models_table({"sft": "teacher"}, BEFORE, BEFORE | {"sft.n": 250}, set())
    assert "| 500<br>250 |" in more
    new = models_table({"new": "new"}, BEFORE, BEFORE | {"new.ar": 0.5, "new.gflops": 1.0}, set())
    assert "-<br>0.500" in new and "-<br>1.000" in new
    gone = models_table({"sft": "teacher"}, BEFORE, {}, set())
    assert "0.900 [0.880, 0.920]<br>-" in gone and "4.000<br>-" in gone


def test_a_cost_changes_by_a_share_of_what_it_was():
    after = {"sft.qps": 2.0}
    assert "4.000<br>2.000<br>**-50.0 %**" in models_table({"sft": "t"}, BEFORE, BEFORE | after, set())


def test_parameters_and_the_stages_that_ran_anew_are_listed_and_these_drawn():
    changes = [Change("params.yaml", "distill.mu", 0.7, 0.9), Change("profiles/cpu.yaml", "a|b", None, [1])]
    page = write_page(found(params=changes, rerun=["distill@tiny"]), None)
    assert "| `distill.mu` | `0.7` | `0.9` | params.yaml |" in page
    assert "| `a\\|b` | - | `[1]` | profiles/cpu.yaml |" in page
    assert "Ran anew: `distill@tiny`." in page
    (drawn,) = re.findall(r"```mermaid\n(.*?)\n```", page, re.DOTALL)
    assert drawn == 'flowchart TD\n\tnode2["distill@tiny"]'
    (drawn,) = re.findall(
        r"```mermaid\n(.*?)\n```", write_page(found(rerun=["distill@tiny", "prototype"]), None), re.DOTALL
    )
    assert drawn == GRAPH
    assert "None ran anew." in write_page(found(), None)


PICTURES = [
    Picture("pareto", "", ("pareto.svg",)),
    Picture("rl", "metrics/rl.svg", ("rl-base.svg", "rl-here.svg")),
    Picture("new", "metrics/new.svg", ("new-here.svg",)),
]


def test_pictures_lie_beside_the_report_or_are_linked_by_revision():
    local = write_page(found(pictures=PICTURES), None)
    files = ["pareto.svg", "rl-base.svg", "rl-here.svg", "new-here.svg"]
    assert re.findall(r"!\[[^]]*\]\(([^)]*)\)", local) == [f"plots/{file}" for file in files]
    linked = write_page(found(pictures=PICTURES), "https://forge.example/raw")
    base, here = (f"https://forge.example/raw/{letter * 40}/metrics" for letter in "bh")
    assert re.findall(r"!\[[^]]*\]\(([^)]*)\)", linked) == [f"{base}/rl.svg", f"{here}/rl.svg", f"{here}/new.svg"]
    assert "pareto.svg" in linked, "what git does not track is named"


@pytest.mark.parametrize("note", ["Another profile."])
def test_notes_stand_under_the_verdict(note):
    page = write_page(found(notes=[note]), None)
    assert page.index("hold.**") < page.index(f"> {note}") < page.index("## Models")
