"""A stage's command line comes from its signature, and its errors are one line."""

from pathlib import Path

import pytest

from supertiny.core.errors import UserError
from supertiny.core.stage import run


def call(monkeypatch, main, *options):
    monkeypatch.setattr("sys.argv", ["stage", *options])
    run(main)


def test_options_are_the_parameters_of_main(monkeypatch):
    seen = []

    def main(base_model: Path, role: str, dev: Path | None = None, out: Path = Path("out")) -> None:
        seen.append((base_model, role, dev, out))

    call(monkeypatch, main, "--base-model", "a/b", "--role", "llm")
    call(monkeypatch, main, "--base-model", "a", "--role", "x", "--dev", "d", "--out", "o")
    assert seen == [(Path("a/b"), "llm", None, Path("out")), (Path("a"), "x", Path("d"), Path("o"))]


def test_annotations_may_be_strings(monkeypatch):
    seen = []

    def main(role: "str", out: "Path") -> None:
        seen.append((role, out))

    call(monkeypatch, main, "--role", "llm", "--out", "o")
    assert seen == [("llm", Path("o"))]


@pytest.mark.parametrize("options", [["--logs", "x"], ["--log", "x", "--lo", "y"], ["--log", "x", "y"]])
def test_a_missing_unknown_or_shortened_option_is_refused_before_any_work(monkeypatch, capsys, options):
    def main(log: Path, out: Path | None = None) -> None:
        raise AssertionError("ran")

    with pytest.raises(SystemExit) as exit:
        call(monkeypatch, main, *options)
    assert exit.value.code == 2
    assert "log" in capsys.readouterr().err


def test_a_user_error_is_exit_code_1_and_one_line(monkeypatch):
    def main() -> None:
        raise UserError("params.yaml: distill.mu: no")

    with pytest.raises(SystemExit) as exit:
        call(monkeypatch, main)
    assert exit.value.code == "error: params.yaml: distill.mu: no"  # a text is printed to stderr, with code 1


def test_any_other_error_keeps_its_traceback(monkeypatch):
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(monkeypatch, main)


def test_a_parameter_of_another_kind_is_refused_at_once(monkeypatch):
    def main(steps: int) -> None:
        raise AssertionError("ran")

    with pytest.raises(KeyError, match="int"):
        call(monkeypatch, main, "--steps", "3")
