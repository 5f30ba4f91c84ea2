"""The steps' sections, figures and pictures, from the handmade files of conftest.py."""

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.report.page import STEPS
from supertiny.report.rows import known
from supertiny.report.tables import table

from .conftest import FOUND


def figures(name):
    return known(STEPS[name].figures(FOUND[name]))


def test_names_are_stable_and_no_figure_is_null():
    """What git compares in steps.csv: a renamed figure is a lost history."""
    assert figures("retrieval")["classifier"]["recall5"] == 0.9
    assert figures("retrieval")["classifier"]["ood_unseen"] == {"n": 20, "recall5": 0.0, "recall10": 0.0}
    assert figures("retrieval")["zero_shot"]["ood"] == {"n": 0}
    judges = figures("judge")
    assert (judges["reference"]["agreement"], judges["reference"]["kappa"]) == (0.95, 0.9)
    assert (judges["reference"]["n"], judges["reference"]["clusters"]) == (20, 4)
    assert judges["llm"]["injections_flipped"] == 0.125 and judges["llm"]["judged_right"] == {"right": 0.25}
    assert (figures("descriptions")["kept"], figures("descriptions")["reference_within_share"]) == (6, 0.5)
    assert figures("rft")["accepted"] == 4 and figures("rft")["precision"] == 0.75
    assert figures("ablation")["no_knowledge"]["ar"] == 0.3
    assert (
        figures("ablation")["no_knowledge"]["difference"] == -0.1 and "difference" not in figures("ablation")["chosen"]
    )
    assert figures("compression")["p30"]["search"]["perplexity"] == 3.5
    assert figures("compression")["smallest"]["times_smaller"] == 1.0
    assert figures("adapter") == {"functions": 71, "domains": 12, "answers": 700, "come_back": 699, "losses": 1}
    assert "null" not in json.dumps({name: figures(name) for name in STEPS})


def test_a_branch_is_judged_by_a_few_of_them():
    """The paths that `dvc metrics diff` compares."""
    decide = {name: known(step.decides(FOUND[name])) for name, step in STEPS.items()}
    assert decide == {
        "retrieval": {"classifier": {"recall5": 0.9, "unseen_recall5": 0.0}},
        "descriptions": {"kept": 6},
        "judge": {"agreement": 0.95},
        "rft": {"accepted": 4, "precision": 0.75},
        "logits": {"bytes_per_token": 18.0},
        "distance": {"kd_akl_nats": 0.2, "top1_below_mu": 0.1},
        "rl": {"teacher_rl": {"steps": 2, "best_dev_reward": 2.5}},
        "compression": {
            "p30": {"recovery": 0.8889},
            "w4a16": {"recovery": 0.875},
            "smallest": {"name": "sft", "weights_mb": 500.0},
        },
        "ablation": {},
        "adapter": {"come_back": 0.9986},
    }


@pytest.mark.parametrize("name", STEPS)
def test_a_table_without_a_row_has_the_columns_of_one_with_some(name):
    for row in STEPS[name].rows(FOUND[name]):
        assert tuple(row) == STEPS[name].columns


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("retrieval", ["| classifier, fine-tuned | no | 0.900 | 1.000 | 40 | 0.300 | 0.300 | 30 | 0.000 † | 20 |"]),
        ("retrieval", ["| API description | yes | 0.500 † | 0.750 † | 4 | - | - | - | - | - |"]),
        ("judge", ["| reference (used) | 0.950 [0.900, 1.000] † | 0.900 † | 1.000 † | 0.900 † | 0.000 † | 7 | 0 |"]),
        ("judge", ["| llm | 0.500 [0.250, 0.750] † | 0.000 † | - | 0.000 † | 0.125 † | 7 | 3 |"]),
        ("judge", ["On 20 replies to 6 examples of 4 templates:\n\n| judge |", "On 12 replies to 6 examples of 4"]),
        ("judge", ["| right | right | 1.000 of 9 † |", "| equivalent | right | 0.000 of 1 † |"]),
        ("judge", ["| right | right | 0.250 of 4 † |", "| wrong value | wrong | - |"]),
        ("descriptions", ["| 5 | 20 | 16 | 0.500 | 7 | 6 | 3 | 30 |"]),
        ("rft", ["| reference | 10 | 4 | 0.750 | - | 60 | 1,234.5 | 150.2 |"]),
        ("ablation", ["| chosen | none | 0.400 [0.300, 0.500] | - | 60 | 0.600 | - | 0 | 900.5 | 20.0 |"]),
        ("ablation", ["knowledge false, num_examples 2 | 0.300 [0.200, 0.400] | -0.100 [-0.150, 0.050] | 60 |"]),
        ("adapter", ["| 71 | 12 | 700 | 699 | 1 |"]),
        (
            "compression",
            ["| pruned | teacher | 0.800 [0.600, 0.950] † | 20 | 0.900 † | -0.100 [-0.200, 0.000] † | 0.889 † | - |"],
        ),
        (
            "compression",
            ["| 0.875 † | 0.95, missed | 50.0 | 10.0 | 10.0 |", "of the teacher's: teacher, 500.0 MB, 1.0 times"],
        ),
        ("compression", ["| **chosen** | 20 | 576 | 1,536 | 71.9 | 22.0 | 3.500 |", "| the whole one | 30 | 576 |"]),
    ],
)
def test_a_section_shows_the_figures_of_its_file(name, lines):
    text = STEPS[name].section(FOUND[name])
    for line in lines:
        assert line in text


@pytest.mark.parametrize("name", STEPS)
def test_every_row_of_a_section_has_as_many_cells_as_its_header(name):
    for block in STEPS[name].section(FOUND[name]).split("\n\n"):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_plot_data_has_a_row_for_each_point():
    assert len(STEPS["retrieval"].rows(FOUND["retrieval"])) == 8
    assert STEPS["retrieval"].rows(FOUND["retrieval"])[5] == {
        "retriever": "classifier",
        "split": "ood_unseen",
        "k": 10,
        "recall": 0.0,
        "n": 20,
    }
    assert STEPS["rft"].rows(FOUND["rft"])[1] == {"function": "lock", "kept": 1, "dropped": 5}
    assert [row["kind"] for row in STEPS["judge"].rows(FOUND["judge"])].count("wrong value") == 2


def test_a_variant_that_answered_nothing_is_a_dash_and_no_bar():
    nothing = {"n": 0, "ar": None, "ar_low": None, "ar_high": None, "function_accuracy": None}
    found = {**FOUND["ablation"], "empty": {**FOUND["ablation"]["chosen"], **nothing}}
    assert "| empty | none | - | - | 0 | - |" in STEPS["ablation"].section(found)
    assert len(STEPS["ablation"].rows(found)) == 2


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if step.draw])
def test_a_picture_is_an_svg_with_the_same_bytes_twice(name, tmp_path):
    step = STEPS[name]
    for out in ("1.svg", "2.svg"):
        step.draw(step.rows(FOUND[name]), tmp_path / out)
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()
    ElementTree.fromstring((tmp_path / "1.svg").read_bytes())


def test_pictures_name_what_they_show(tmp_path):
    for name, labels in {
        "retrieval": ["classifier, fine-tuned", "API description", "OOD, unseen functions"],
        "judge": ["equivalent", "1.00 of 9", "0.25 of 4", "reference", "llm"],
        "ablation": ["chosen, 900 tokens", "no knowledge, 900 tokens"],
    }.items():
        STEPS[name].draw(STEPS[name].rows(FOUND[name]), tmp_path / "p.svg")
        svg = (tmp_path / "p.svg").read_text()
        assert all(f"<!-- {label} -->" in svg for label in labels)


def test_no_row_at_all_is_an_empty_picture(tmp_path):
    for step in STEPS.values():
        if step.draw:
            step.draw([], tmp_path / "p.svg")
            assert (tmp_path / "p.svg").is_file()


def test_what_there_is_none_of_is_left_out_of_a_section():
    """No teacher to be as good as, no prototype to be smaller than, no policy, no run."""
    found = FOUND["compression"] | {"prototype": None, "smallest": None}
    text = STEPS["compression"].section(found)
    assert "The smallest model" not in text and "| 0.95, missed | 50.0 | - | - |" in text
    small = STEPS["compression"].section(FOUND["compression"] | {"prototype": None})
    assert "teacher, 500.0 MB (difference" in small
    assert (
        STEPS["rl"].section({"models": {}, "runs": {}, "traces": FOUND["rl"]["traces"]}).startswith("The teacher was")
    )


@given(st.lists(st.text(), min_size=2, max_size=4))
def test_no_text_breaks_a_table(cells):
    """An expert's own word for a kind of reply, or a title, may hold a bar or a line break."""
    lines = table(["a", *["b"] * (len(cells) - 1)], [cells]).split("\n")
    assert len(lines) == 3
    assert lines[2].replace("\\|", "").count("|") == len(cells) + 1
