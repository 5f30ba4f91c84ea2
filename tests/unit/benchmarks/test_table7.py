"""The summary of Table 7: means and ranges over seeds, and differences query by query."""

from benchmarks.table7 import summary


def run(variant, seed, ar, right, clusters="abcd"):
    return {
        "variant": variant, "seed": seed, "right": right, "test": ar, "ood": 0.5, "ood_seen": 0.5, "ood_unseen": 0.5,
        "dev_cross_entropy": 0.1, "clusters": list(clusters),
    }  # fmt: skip


def test_means_ranges_and_paired_differences_by_hand():
    """Of four queries FKL answers 2 and 3, RFT 2 and 2: the second query is FKL's in one seed of two."""
    runs = [
        run("RFT", 0, 0.5, [True, False, True, False]),
        run("RFT", 1, 0.5, [True, False, True, False]),
        run("FKL", 0, 0.5, [True, False, True, False]),
        run("FKL", 1, 0.75, [True, True, True, False]),
    ]
    rft, fkl = summary(runs)
    assert fkl["test"] == {"mean": 0.625, "least": 0.5, "most": 0.75} and fkl["seeds"] == 2
    assert fkl["less RFT"]["mean"] == 0.125 and fkl["less RFT"]["low"] == 0.0 < fkl["less RFT"]["high"] <= 0.5
    assert rft["less FKL"]["mean"] == -0.125 and "less RFT" not in rft


def test_queries_of_one_template_are_resampled_together():
    """FKL wins both queries of template a and none of b: resamples hold the differences 0, 1/2 and 1."""
    runs = [run("RFT", 0, 0.0, [False] * 4, "aabb"), run("FKL", 0, 0.5, [True, True, False, False], "aabb")]
    _, fkl = summary(runs)
    assert fkl["less RFT"] == {"mean": 0.5, "low": 0.0, "high": 1.0}
