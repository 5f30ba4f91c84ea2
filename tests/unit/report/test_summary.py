import json

import pytest

from supertiny.report.rows import (
    FUNCTIONS,
    PARETO,
    Compared,
    data_row,
    deciding,
    function_rows,
    pareto_rows,
    response_rows,
    system_row,
    wide,
)


def test_paths_read_as_the_house_promises(sft):
    row = system_row(sft)
    assert (row["ar"], row["ood"]["ar"], row["qps"]["cc64"], row["gflops_paper"]) == (0.8, 0.4, 8.0, 18.0)
    assert (row["with_knowledge"]["ar"], row["without_knowledge"]["ar"]) == (0.75, 0.25)
    assert (row["p50_ms"]["cc1"], row["new_tokens"], row["failures"]["unparseable"]) == (250.0, 18.0, 0.0)


def test_what_decides_is_flat_and_times_are_the_best_load_and_one_client(sft, tiny):
    assert deciding(system_row(sft)) == {
        **{"n": 400, "ar": 0.8, "ar_low": 0.75, "ar_high": 0.8500000000000001, "ood_ar": 0.4, "ood_seen": 0.4},
        **{"gflops": 20.0, "mb": 538.0, "qps": 8.0, "p50_ms": 250.0},
    }
    unserved = {name: value for name, value in system_row(tiny).items() if name not in ("qps", "p50_ms")}
    assert deciding(unserved).keys() == deciding(system_row(sft)).keys() - {"qps", "p50_ms"}


def test_every_figure_of_a_system_has_a_column_and_what_it_lacks_is_empty(sft, tiny):
    unserved = {name: value for name, value in system_row(tiny).items() if name != "qps"}
    first, second = wide({"sft": system_row(sft), "tiny": unserved})
    assert (first["system"], first["ood.ar"], first["qps.cc64"], first["failures.wrong value"]) == (
        *("sft", 0.4, 8.0),
        pytest.approx(0.2),
    )
    assert second["qps.cc64"] == "" and first.keys() == second.keys()


def test_faults_of_all_rounds_add_up(sft):
    row = system_row(sft)
    assert (row["errors"], row["differing"]) == (2, 1)


def test_what_was_not_measured_is_left_out_for_dvc_knows_no_null(sft):
    row = system_row(sft)
    assert row["ood_unseen"] == {"n": 0, "clusters": 0, "ar_by": {}}
    assert "null" not in json.dumps(row)


def test_the_data_row_is_table_1_alone():
    assert data_row({"ttr": 0.1, "functions": 3, "splits": {"test": {}}}) == {"ttr": 0.1, "functions": 3}


def test_pareto_takes_the_exact_count_and_the_best_load(sft):
    (point,) = pareto_rows([Compared({"sft": sft})])
    assert point == {
        **{"queries": "400 in-domain and 300 OOD queries", "model": "sft", "n": 400, "unseen": "", "n_unseen": 0},
        **{"gflops": 20.0, "mb": 538.0, "qps": 8.0, "ar": 0.8, "low": 0.75, "high": 0.8500000000000001},
    }
    assert point.keys() == set(PARETO)


def test_response_times_are_ratios_to_the_first_model_that_was_served_at_most_loads():
    rows = response_rows(
        {
            "prototype": {"p50_ms": {"cc1": 1000.0}, "p95_ms": {"cc1": 1500.0}},
            "old": {"p50_ms": {"cc1": 20.0, "cc8": 100.0}, "p95_ms": {"cc1": 30.0, "cc8": 120.0}},
            "sft": {"p50_ms": {"cc1": 100.0, "cc8": 50.0}, "p95_ms": {"cc1": 90.0, "cc8": 240.0}},
            "p20": {"ar": 0.9},
            "mute": {"p50_ms": {}, "p95_ms": {}},
        }
    )
    assert {row["of"] for row in rows} == {"old"}
    assert {(row["model"], row["clients"]): (row["p50"], row["p95"]) for row in rows} == {
        ("prototype", 1): (50.0, 50.0),
        ("old", 1): (1.0, 1.0),
        ("old", 8): (1.0, 1.0),
        ("sft", 1): (5.0, 3.0),
        ("sft", 8): (0.5, 2.0),
    }


def test_where_nothing_was_served_there_are_no_ratios():
    assert response_rows({"p20": {"ar": 0.9}, "mute": {"p50_ms": {}, "p95_ms": {}}}) == []


def test_functions_of_both_tests_of_every_model(sft, tiny):
    rows = function_rows([Compared({"sft": sft, "tiny": tiny})])
    assert [(r["model"], r["split"], r["function"]) for r in rows[:3]] == [
        ("sft", "test", "light_on"),
        ("sft", "test", "lock"),
        ("sft", "ood", "vacuum"),
    ]
    assert len(rows) == 6 and tuple(rows[0]) == FUNCTIONS
