"""Files are whole or absent, and a crash keeps what was there."""

import json

import pytest

from supertiny.core.errors import UserError
from supertiny.core.files import (
    digest,
    read_json,
    read_jsonl,
    whole_file,
    whole_folder,
    write_csv,
    write_json,
    write_jsonl,
    write_text,
)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with whole_file(path) as partial:
        partial.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert names(tmp_path) == ["deep", "deep/a.txt"]


@pytest.mark.parametrize("crash", [RuntimeError, KeyboardInterrupt])
def test_a_crash_leaves_no_file_and_keeps_the_old_one(tmp_path, crash):
    old = tmp_path / "old.txt"
    old.write_text("old")
    for path in (old, tmp_path / "new.txt"):
        with pytest.raises(crash), whole_file(path) as partial:
            partial.write_text("half")
            raise crash
    assert names(tmp_path) == ["old.txt"]
    assert old.read_text() == "old"


def test_a_folder_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "model"
    for name in ("a", "b"):
        with whole_folder(path) as partial:
            (partial / "sub").mkdir()
            (partial / "sub" / name).write_text(name)
    assert names(tmp_path) == ["model", "model/sub", "model/sub/b"]


@pytest.mark.parametrize("crash", [RuntimeError, KeyboardInterrupt])
def test_a_crash_leaves_no_folder_and_keeps_the_old_one(tmp_path, crash):
    old = tmp_path / "old"
    old.mkdir()
    (old / "weights").write_text("old")
    for path in (old, tmp_path / "new"):
        with pytest.raises(crash), whole_folder(path) as partial:
            (partial / "weights").write_text("half")
            raise crash
    assert names(tmp_path) == ["old", "old/weights"]
    assert (old / "weights").read_text() == "old"


def test_what_a_killed_run_left_does_not_get_into_the_next_folder(tmp_path):
    (tmp_path / ".model.partial").mkdir()
    (tmp_path / ".model.partial" / "stale").write_text("x")
    with whole_folder(tmp_path / "model") as partial:
        (partial / "fresh").write_text("y")
    assert names(tmp_path) == ["model", "model/fresh"]


@pytest.mark.parametrize("value", [{"b": 1, "a": [None, "é", 0.1]}, [], "x", 3])
def test_json_is_read_back(tmp_path, value):
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert (tmp_path / "a.json").read_bytes().endswith(b"\n")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), object()])
def test_what_is_no_json_is_refused_and_keeps_the_old_file(tmp_path, bad):
    for write in (write_json, lambda path, value: write_jsonl(path, [1, value])):
        write_text(tmp_path / "a.json", "old")
        with pytest.raises((ValueError, TypeError)):
            write(tmp_path / "a.json", bad)
        assert (tmp_path / "a.json").read_text() == "old"
        assert names(tmp_path) == ["a.json"]


BROKEN = [b"{", b"", b"\xff", b"[1,]", b"[" * 100_000, b"9" * 5000, b'[{"a": 1, "a": 1}]']


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_json_file_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_lines_keep_their_numbers_over_blank_ones(tmp_path):
    (tmp_path / "a.jsonl").write_text('1\n\n  \n{"a": 2}')
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [(1, 1), (4, {"a": 2})]


@pytest.mark.parametrize("content", [line for line in BROKEN if line], ids=range(len(BROKEN) - 1))
def test_a_broken_line_is_named(tmp_path, content):
    (tmp_path / "a.jsonl").write_bytes(b"1\n2\n" + content + b"\n4\n")
    with pytest.raises(UserError, match=r"a\.jsonl, line 3"):
        list(read_jsonl(tmp_path / "a.jsonl"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.json does not exist"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match=r"a\.jsonl does not exist"):
        list(read_jsonl(tmp_path / "a.jsonl"))


def test_jsonl_and_csv_bytes(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", iter([{"a": "é"}, 2]))
    assert (tmp_path / "a.jsonl").read_text("utf-8") == '{"a": "é"}\n2\n'
    write_csv(tmp_path / "a.csv", [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}])
    assert (tmp_path / "a.csv").read_bytes() == b"step,loss\n1,0.5\n2,0.25\n"


def test_a_digest_is_of_content_not_of_place_or_time(tmp_path):
    for name in ("x", "y"):
        write_json(tmp_path / name / "a.json", [1])
        write_json(tmp_path / name / "b.json", [2])
    assert digest(tmp_path / "x") == digest(tmp_path / "y")
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_a_digest_tells_everything_else_apart(tmp_path):
    write_text(tmp_path / "one" / "a", "1")
    write_text(tmp_path / "two" / "a", "2")
    write_text(tmp_path / "three" / "b", "1")
    write_text(tmp_path / "four" / "a", "1b\0002")
    write_text(tmp_path / "five" / "a", "1")
    write_text(tmp_path / "five" / "b", "2")
    folders = [digest(tmp_path / name) for name in ("one", "two", "three", "four", "five")]
    values = [digest(1, 2), digest(2, 1), digest([1, 2]), digest(12), digest("1", 2), digest()]
    assert len({*folders, *values}) == len(folders) + len(values)
    assert json.dumps(folders).isascii()
