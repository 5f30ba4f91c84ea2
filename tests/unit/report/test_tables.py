from dataclasses import replace

from supertiny.report.rows import Compared, Results, data_row
from supertiny.report.tables import readme_tables, results_page

from .conftest import MACHINE, STATS, result_files


def page(**models):
    return results_page(models, [Compared(models)], data_row(STATS), [("Retrieval", "| found |")], "smoke")


def test_every_row_of_a_table_has_as_many_cells_as_its_header(sft, tiny):
    blocks = [block.splitlines() for block in page(sft=sft, tiny=tiny).split("\n\n") if block.startswith("| m")]
    blocks += [block.splitlines() for block in page(sft=sft, tiny=tiny).split("\n\n") if "entropy" in block]
    assert len(blocks) == 6
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1
        assert len(block) == (3 if "entropy" in block[0] else 4)


def test_figures_come_from_the_files(sft):
    text = page(sft=sft)
    assert (
        "| fine-tuned | 0.800 [0.750, 0.850] | 400 | 0.400 | 0.625 [0.575, 0.675] | 30 | 0.400 [0.350, 0.450] | 300 |"
        in text
    )
    assert "250 / 400" in text and "| 2,000 | 71 | 209 | 0.031 | 7.200 |" in text


def test_what_was_not_measured_is_a_dash(sft):
    assert "| - | 18.0 | 20.0 |" in page(sft=sft)


def test_a_round_that_all_requests_failed_is_a_dash():
    files = result_files()
    files["bench"]["rounds"]["cc64"] |= {"qps": 0.0, "p50_ms": None, "p95_ms": None, "p99_ms": None}
    assert "| 250 / 400 | - / - |" in page(sft=Results(title="fine-tuned", **files))


def test_one_machine_is_one_line_two_are_told_apart(sft, tiny):
    assert page(sft=sft, tiny=tiny).count("Some CPU") == 1
    other = Results(title="gpu", **result_files(machine={**MACHINE, "cpu": "Other CPU"}))
    assert "- gpu: measured with engine `native` on Other CPU" in page(sft=sft, gpu=other)


def test_sections_stand_in_the_papers_order(sft):
    text = page(sft=sft)
    places = [text.index(title) for title in ("(paper Table 1)", "(paper Table 2)", "## Retrieval", "(paper Table 4)")]
    assert places == sorted(places)


def test_loads_stand_in_order_and_a_load_that_a_system_never_met_is_a_dash(sft):
    files = result_files()
    files["bench"]["rounds"] = {"cc8": files["bench"]["rounds"]["cc1"]}
    text = page(old=Results(title="old", **files), sft=sft)
    assert "| model | cc1 | cc8 | cc64 |" in text
    assert "| old | - | 4.00 | - |" in text and "| fine-tuned | 4.00 | - | 8.00 |" in text
    assert "| - / - | 250 / 400 | - / - |" in text


def test_the_worth_of_a_note_is_the_same_queries_with_it_and_without(sft):
    assert "| fine-tuned | 11 | 0.750 † | 0.250 [0.200, 0.300] † |" in page(sft=sft), "of fewer than 30 queries"


def test_data_without_notes_is_a_dash():
    files = result_files()
    files["rates"]["test"]["by_tag"] = {}
    files["rates"]["without_knowledge"] = files["rates"]["ood_unseen"]
    assert "| fine-tuned | 0 | - | - |" in page(old=Results(title="fine-tuned", **files))


POINT = {
    **{"queries": "500 in-domain and 160 OOD queries", "model": "sft", "n": "500", "gflops": "39.06", "mb": "538.1"},
    **{"qps": "0.0", "ar": "0.938", "low": "0.916", "high": "0.958", "unseen": "0.2", "n_unseen": "20"},
}


def test_the_readmes_tables_show_what_decides_beside_the_papers():
    """The paper's AR is in per cent; a figure that was not measured is a dash, one of fewer than 30 queries marked."""
    few = POINT | {"queries": "75 in-domain and 30 OOD queries", "n": "75", "model": "own"}
    few |= {"unseen": "", "n_unseen": "0"}
    text = readme_tables([POINT, few], {"sft": "teacher", "own": "my own", "rl": "policy"})
    first, head, second, other, last = text.split("\n\n")
    assert (first, second) == ("On 500 in-domain and 160 OOD queries:", "On 75 in-domain and 30 OOD queries:")
    assert head.splitlines()[2:] == [
        "| teacher | 0.938 [0.916, 0.958] | 0.200 † | 39.1 | 538.1 | - | 7B RFT | 0.953 | 0.909 | 434.0 | 20.1 |"
    ]
    assert other.splitlines()[2:] == ["| my own | 0.938 [0.916, 0.958] | - | 39.1 | 538.1" + " | -" * 6 + " |"]
    assert last == "Not measured yet: policy."


def test_a_table_for_each_set_of_queries(sft, tiny):
    """All rows of one are over the same queries; how many there are stands above it."""
    few = replace(tiny, rates={**tiny.rates, "test": tiny.rates["test"] | {"n": 20, "clusters": 9}})
    models = {"sft": sft, "tiny": tiny}
    text = results_page(models, [Compared({"sft": sft}), Compared({"tiny": few})], data_row(STATS), [], "smoke")
    quality = text.split("## ")[2]
    assert quality.index("On 400 in-domain and 300 OOD queries, of 100 templates in domain:") < quality.index("| fine-")
    assert quality.index("| fine-") < quality.index("On 20 in-domain and 300 OOD queries, of 9 templates")
    assert (
        "| tiny | 0.600 [0.550, 0.650] † | 20 | 0.300 † | 0.625 [0.575, 0.675] | 30 | 0.300 [0.250, 0.350] | 300 |"
        in quality
    )
    failures = text.split("## ")[3]
    assert "| tiny | 0.000 † | 0.400 † |" in failures


def test_what_other_judges_say_stands_beside_the_one_that_measures(sft):
    """Where none was asked there is no section."""
    assert "by other judges" not in page(sft=sft)
    rates = {name: rate | {"ar_by": {"classifier": 0.75}} for name, rate in sft.rates.items() if name != "workload"}
    text = page(sft=replace(sft, rates={**sft.rates, **rates}))
    assert "| model | n | AR, reference | AR, classifier | n OOD | AR OOD, reference | AR OOD, classifier |" in text
    assert "| fine-tuned | 400 | 0.800 | 0.750 | 300 | 0.400 | 0.750 |" in text


def test_where_nothing_is_served_there_is_no_table_of_times(sft):
    unserved = Results(title="fine-tuned", **(result_files() | {"bench": None}))
    text = page(sft=unserved)
    assert "Table 4" not in text and "Response time" not in text and "(paper Table 2)" in text
