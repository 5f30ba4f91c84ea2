import json

import pytest

from supertiny.core.calls import Call, check_call
from supertiny.core.errors import UserError
from supertiny.data.dataset import DatasetSizes, MassiveConfig
from supertiny.data.own import massive, parse_annotation, read_utterances
from tests.unit.data.conftest import make_config

SIZES = DatasetSizes(train=50, expert=2, dev=3, dev_ood=3, test=4, ood=6)


def line(number: int, partition: str, scenario: str, verb: str) -> dict:
    time = ("five am", "noon", "six pm")[number % 3]
    return {
        "id": str(number),
        "locale": "en-US",
        "partition": partition,
        "scenario": scenario,
        "intent": f"{scenario}_{verb}",
        "utt": f"{verb} number{number // 3} at {time}",
        "annot_utt": f"{verb} number{number // 3} at [time : {time}]",
        "worker_id": "1",
    }


def lines() -> list[dict]:
    scenarios = [("alarm", "set"), ("alarm", "stop"), ("music", "play"), ("iot", "dim")]
    return [line(n, ("train", "dev", "test")[n % 3], *scenarios[n % 5 % 4]) for n in range(90)]


def write(tmp_path, rows) -> MassiveConfig:
    path = tmp_path / "xx.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return MassiveConfig(path=str(path), ood_scenarios=["music"], dev_ood_scenarios=["iot"])


def test_parse_annotation():
    text = "wake me at [time : nine am] on [date : friday] or [date : sunday]"
    assert parse_annotation(text) == (
        {"time": "nine am", "date": "friday, sunday"},
        "wake me at {time} on {date} or {date}",
    )
    assert parse_annotation("hello") == ({}, "hello")


def test_massive_holds_out_scenarios_and_templates(tmp_path):
    cfg = make_config(massive=write(tmp_path, lines()), num_candidates=2)
    dataset = massive(cfg, SIZES, 0)
    assert dataset == massive(cfg, SIZES, 0)
    assert list(dataset.pool) == ["alarm_set", "alarm_stop", "iot_dim", "music_play"]
    assert dataset.pool["alarm_set"].domain == "alarm"
    for split in ("train", "expert", "dev", "test"):
        for row in dataset.splits[split]:
            assert row.answers[0].name in row.candidates == ("alarm_set", "alarm_stop")
    assert dataset.splits["dev_ood"] and dataset.splits["ood"]
    for row in dataset.splits["dev_ood"]:
        assert (row.answers[0].name, row.tags) == ("iot_dim", ("unseen",))
        assert row.candidates == ("alarm_set", "alarm_stop", "iot_dim")
    for row in dataset.splits["ood"]:
        assert ("unseen" in row.tags) == (row.answers[0].name == "music_play")
        assert row.answers[0].name in row.candidates
    templates = {split: {row.template for row in rows} for split, rows in dataset.splits.items()}
    apart = [templates[split] for split in ("train", "expert", "dev", "test")]
    assert sum(map(len, apart)) == len(set().union(*apart)), "no template is in two of them"
    assert not (templates["train"] | templates["expert"]) & (templates["dev_ood"] | templates["ood"])
    assert all(isinstance(check_call(row.answers[0], dataset.pool), Call) for row in dataset.splits["test"])


def test_door_errors_name_line_and_field(tmp_path):
    rows = lines()
    rows[4]["annot_utt"] = 7
    with pytest.raises(UserError, match=r"xx.jsonl, line 5: field 'annot_utt'"):
        read_utterances(tmp_path / write(tmp_path, rows).path)
    rows = lines()
    rows[2]["partition"] = "valid"
    with pytest.raises(UserError, match=r"line 3: field 'partition': 'valid'"):
        massive(make_config(massive=write(tmp_path, rows)), SIZES, 0)
    cfg = write(tmp_path, lines())
    cfg.ood_scenarios = ["opera"]
    with pytest.raises(UserError, match=r"no scenario 'opera' \(dataset.massive.ood_scenarios\)"):
        massive(make_config(massive=cfg), SIZES, 0)
    cfg = write(tmp_path, lines())
    cfg.dev_ood_scenarios = ["opera"]
    with pytest.raises(UserError, match=r"no scenario 'opera' \(dataset.massive.dev_ood_scenarios\)"):
        massive(make_config(massive=cfg), SIZES, 0)
