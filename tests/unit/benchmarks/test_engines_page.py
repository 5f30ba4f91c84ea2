"""The tables of the load tests: medians, spreads and ratios worked by hand."""

from benchmarks.engines_page import draw, tables


def one(model, way, clients, repetition, qps, **changed):
    return {
        "model": model, "way": way, "clients": clients, "repetition": repetition, "qps": qps, "requests": 10,
        "errors": 0, "differing": 0, "p50_ms": 100.0, "p95_ms": 200.0, "p99_ms": 300.0, "tokens_per_s": 20.0,
        "peak_memory_mb": 500.0, "cpu_s_a_request": 0.25,
    } | changed  # fmt: skip


def rounds():
    """Three repetitions of two ways at two loads; the machine is twice as slow in the second repetition."""
    found = []
    for repetition, slow in enumerate((1, 2, 1)):
        for clients, fast in ((1, 1), (8, 4)):
            found += [
                one("tiny", "native", clients, repetition, 2.0 * fast / slow),
                one("tiny", "openvino", clients, repetition, (6.0 if repetition == 2 else 5.0) * fast / slow),
            ]
    return found


def test_spreads_ratios_and_counts_by_hand():
    lines = tables(rounds()).splitlines()
    assert "| tiny | native | 2.00 [1.00, 2.00] | 8.00 [4.00, 8.00] |" in lines
    assert "| tiny | openvino | 5.00 [2.50, 6.00] | 20.0 [10.0, 24.0] |" in lines
    # the slow repetition halves both, so the ratio is 2.5, 2.5, 3
    assert "| tiny | openvino | 2.50 [2.50, 3.00] | 2.50 [2.50, 3.00] |" in lines
    assert "| tiny | native | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] |" in lines
    assert "| tiny | openvino | 100 / 200 / 300 | 100 / 200 / 300 |" in lines
    assert "| tiny | openvino | 60 | 0 | 0 | 20 | 0.250 | 500 |" in lines


def test_every_model_is_compared_with_the_first_one_served_alike():
    """The traditional system with the first model in the only way it has; a way without that model with nobody."""
    found = [one("big", "native", 8, 0, 2.0), one("tiny", "native", 8, 0, 6.0), one("tiny", "openvino", 8, 0, 9.0)]
    of_itself, of_first = tables([*found, one("old", "native", 8, 0, 30.0)]).split("repetition by repetition.")[1:]
    for line in ("big | native | 1.00", "tiny | native | 1.00", "tiny | openvino | 1.50", "old | native | 1.00"):
        assert f"| {line} [" in of_itself
    for line in ("big | native | 1.00", "tiny | native | 3.00", "old | native | 15.0"):
        assert f"| {line} [" in of_first
    assert "| tiny | openvino | - |" in of_first


def test_a_server_has_no_memory_here_and_a_round_of_errors_no_times(tmp_path):
    nothing = {
        "p50_ms": None,
        "p95_ms": None,
        "p99_ms": None,
        "peak_memory_mb": None,
        "cpu_s_a_request": None,
        "errors": 10,
        "differing": 3,
    }
    found = [one("tiny", "native", 1, 0, 0.0, tokens_per_s=0.0), one("tiny", "HTTP", 1, 0, 0.0, **nothing)]
    lines = tables(found).splitlines()
    assert "| tiny | HTTP | - / - / - |" in lines
    assert "| tiny | HTTP | 10 | 10 | 3 | 20 | - | - |" in lines
    assert "| tiny | HTTP | 0.00 [0.00, 0.00] |" in lines
    draw(found, tmp_path / "page.svg")
    assert "<svg" in (tmp_path / "page.svg").read_text()


def test_the_picture_has_the_same_bytes_from_the_same_numbers(tmp_path):
    for name in ("one", "two"):
        draw(rounds(), tmp_path / f"{name}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
