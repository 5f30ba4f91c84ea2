"""What params.yaml declares: which system was made of which, and what was logged on the way."""

import pytest

from supertiny.core.errors import UserError
from supertiny.measure.systems import declared, tables

PARAMS = """\
trained:
  sft: {sft: {base: llm}}
  shrink: {tiny: {base: sft}, p20_cut: {base: sft}}
  recover: {p20_general: {base: p20_cut}}
  distill: {tiny_kd: {base: tiny}, p20: {base: p20_general}}
  think: {tiny_cold: {base: tiny_kd}}
  rl: {tiny_rl: {base: tiny_cold}}
  quantize: {w8a16: {base: p20}}
systems:
  large: {kind: prototype, model: llm, asked: prototype, title: a}
  old: {kind: traditional, model: baseline, asked: models, title: b}
  teacher: {kind: model, model: sft, asked: models, title: c}
  student: {kind: model, model: tiny_kd, asked: models, title: d}
  tiny_rl: {kind: model, model: tiny_rl, asked: policies, title: e}
  p20: {kind: model, model: p20, asked: compressed, title: f}
  w8a16: {kind: model, model: w8a16, asked: compressed, title: g}
"""


@pytest.fixture
def params(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    return path


def test_a_system_comes_from_the_nearest_that_is_one(params):
    """Over what is no system; the large model is asked in another way, so nothing is compared with it."""
    found = tables()
    assert {name: found.origin(name) for name in found.systems} == {
        **dict.fromkeys(("large", "old", "teacher")),
        **{"student": "teacher", "tiny_rl": "student", "p20": "teacher", "w8a16": "p20"},
    }
    assert found.line("tiny_rl") == ["tiny_rl", "tiny_cold", "tiny_kd", "tiny", "sft", "llm"]


def test_what_was_trained_has_a_log(params):
    found = tables()
    assert {name: log for name in found.systems if (log := found.log_of(name))} == {
        **{"old": "baseline", "teacher": "sft", "student": "tiny_kd", "tiny_rl": "tiny_rl", "p20": "p20"}
    }


@pytest.mark.parametrize("empty", ["{}", "null", None])
def test_every_table_but_systems_may_be_empty(params, empty):
    trained = "" if empty is None else f"served: {empty}\ntraces: {empty}\ntrained: {{sft: {empty}, rl: {empty}}}\n"
    params.write_text(f"systems:{PARAMS.partition('systems:')[2]}{trained}")
    found = tables()
    assert found.served == frozenset() and found.traces == {}
    assert all(found.origin(name) is None for name in found.systems)


def test_a_served_system_is_one_of_the_systems(params):
    entry = "{kind: model, model: sft, asked: models, title: c}"
    params.write_text(f"{PARAMS}served:\n  teacher: {entry}\n")
    assert tables().served == {"teacher"}
    params.write_text(f"{PARAMS}served:\n  huge: {entry}\n")
    with pytest.raises(UserError, match=r"params\.yaml: served\.huge: is none of the systems large, old"):
        tables()
    params.write_text(f"{PARAMS}served:\n  student: {entry}\n")
    with pytest.raises(UserError, match=r"served\.student: differs from systems\.student; write `student: \*student`"):
        tables()


def test_a_model_that_is_made_of_itself_is_an_error(params):
    params.write_text(PARAMS.replace("sft: {base: llm}", "sft: {base: tiny_kd}"))
    with pytest.raises(UserError, match="'tiny_kd' is made of itself"):
        tables().origin("student")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{kind: robot, model: m, asked: models, title: t}", "kind: expected one of model, prototype, traditional"),
        ("{kind: model, model: m, asked: models, title: 'a|b'}", "title: no"),
        ("{kind: model, model: m, title: t}", "asked"),
        ("{kind: model, model: m, asked: models, title: t, log: x}", "log"),
    ],
)
def test_a_wrong_entry_names_its_field(params, entry, message):
    params.write_text(f"systems: {{sft: {entry}}}\n")
    with pytest.raises(UserError, match=rf"systems\.sft.*{message}"):
        declared()
