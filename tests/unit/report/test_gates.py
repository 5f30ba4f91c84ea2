import pytest

from supertiny.core.errors import UserError
from supertiny.measure.systems import SystemConfig
from supertiny.report.compare import MEASURES, GateConfig, load_gates, verdicts

AR, OOD, GFLOPS, WEIGHTS, QPS = MEASURES
BASE = {"a.ar": 0.9, "a.ood_ar": 0.4, "a.gflops": 20.0, "a.mb": 100.0, "a.qps": 8.0}
STRICT = GateConfig(ar_drop=0.02, ood_ar_drop=0.05, gflops_rise=0.1, weights_rise=0.0, qps_drop=0.25)
OPEN = GateConfig(ar_drop=None, ood_ar_drop=None, gflops_rise=None, weights_rise=None, qps_drop=None)


def broken(**changed):
    after = BASE | {f"a.{name}": value for name, value in changed.items()}
    return {one.measure.title for one in verdicts(BASE, after, {"a": STRICT}) if not one.holds}


@pytest.mark.parametrize(
    ("changed", "measure"),
    [
        ({"ar": 0.88}, None),  # by as much as is allowed
        ({"ar": 0.8799}, AR),
        ({"ar": 0.99}, None),
        ({"ood_ar": 0.35}, None),
        ({"ood_ar": 0.3}, OOD),
        ({"gflops": 22.0}, None),
        ({"gflops": 22.1}, GFLOPS),
        ({"gflops": 2.0}, None),
        ({"mb": 100.0001}, WEIGHTS),
        ({"qps": 6.0}, None),
        ({"qps": 5.9}, QPS),
    ],
)
def test_a_gate_allows_so_much_and_no_more(changed, measure):
    assert broken(**changed) == ({measure.title} if measure else set())


def test_what_was_free_cannot_come_to_cost_anything_and_what_stood_still_cannot_get_slower():
    zero = {"a.gflops": 0.0, "a.qps": 0.0}
    after = {"a.gflops": 1.0, "a.qps": 5.0}
    assert {one.measure.title: one.holds for one in verdicts(zero, after, {"a": STRICT})} == {
        GFLOPS.title: False,
        QPS.title: True,
    }
    assert all(one.holds for one in verdicts(zero, zero, {"a": STRICT}))


def test_a_figure_that_a_revision_lacks_and_a_gate_of_null_are_not_judged():
    assert {one.measure.title for one in verdicts(BASE, {"a.ar": 0.9}, {"a": STRICT})} == {AR.title}
    assert verdicts(BASE, {"a.ar": 0.1}, {"a": OPEN}) == []


def test_times_of_another_machine_are_not_judged():
    after = BASE | {"a.qps": 0.1}
    assert all(one.holds for one in verdicts(BASE, after, {"a": STRICT}, timed=False))
    assert not all(one.holds for one in verdicts(BASE, after, {"a": STRICT}))


def gates(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(text)
    return load_gates(
        {name: system(asked) for name, asked in {"a": "models", "b": "compressed", "c": "policies"}.items()}
    )


def system(asked):
    return SystemConfig(kind="model", model="m", asked=asked, title="t")


ENTRY = "{ar_drop: %s, ood_ar_drop: null, gflops_rise: null, weights_rise: null, qps_drop: null}"


def test_a_system_has_its_own_gates_or_those_of_every_and_a_policy_only_its_own(tmp_path, monkeypatch):
    found = gates(tmp_path, monkeypatch, f"gates:\n  every: {ENTRY % 0.02}\n  b: {ENTRY % 0.5}\n")
    assert {name: one.ar_drop for name, one in found.items()} == {"a": 0.02, "b": 0.5}
    found = gates(tmp_path, monkeypatch, f"gates:\n  every: {ENTRY % 0.02}\n  c: {ENTRY % 0.1}\n")
    assert {name: one.ar_drop for name, one in found.items()} == {"a": 0.02, "b": 0.02, "c": 0.1}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"gates: {{a: {ENTRY % 0.1}}}", "every"),
        (f"gates: {{every: {ENTRY % 0.1}, d: {ENTRY % 0.1}}}", "'d' is none of the systems a, b, c"),
        (f"gates: {{every: {ENTRY % -0.1}}}", "ar_drop"),
        (f"gates: {{every: {ENTRY % 'much'}}}", "gates.every.ar_drop"),
        ("gates: {every: {ar_drop: 0.1}}", "gates.every"),
        ("seed: 1", "gates"),
    ],
)
def test_gates_that_cannot_be_are_named(tmp_path, monkeypatch, text, named):
    with pytest.raises(UserError, match=named):
        gates(tmp_path, monkeypatch, text)
