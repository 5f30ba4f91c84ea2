"""A new project by the real git and dvc; and nothing at all where something is wrong."""

import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import supertiny
from supertiny.commands import init as module
from supertiny.commands.init import create, set_parameters
from supertiny.core.errors import UserError
from supertiny.data.dataset import OwnConfig
from tests.house import ROOT, leaves
from tests.unit.commands.conftest import row, rows, write_own


def files(folder: Path, lines=None, **more: str) -> OwnConfig:
    paths = {name: str(path) for name, path in write_own(folder, lines or rows()).items()}
    return OwnConfig(**{"verdicts": None, "knowledge": None} | paths | more)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def read(path: Path):
    return YAML(typ="safe").load(path)


@pytest.fixture
def project(tmp_path) -> Path:
    """With a knowledge base, made in a folder that is there and empty."""
    (tmp_path / "terms.json").write_text('[{"term": "crema", "explanation": "the foam"}]')
    (tmp_path / "voice").mkdir()
    create(tmp_path / "voice", files(tmp_path, knowledge=str(tmp_path / "terms.json")), "smoke")
    return tmp_path / "voice"


def test_a_project_is_the_graph_with_the_users_files_under_git_and_dvc(project):
    assert git(project, "status", "--porcelain") == "" and git(project, "rev-list", "--count", "HEAD") == "1"
    tracked = set(git(project, "ls-files").split())
    assert {"data/own/functions.json", "data/own/queries.jsonl", "data/own/knowledge.json", ".dvc/config"} <= tracked
    assert {".github/workflows/results.yml", "benchmarks/engines.py", "envs/sglang.txt"} <= tracked
    assert not [name for name in tracked if name.startswith("benchmarks/") and not name.endswith(".py")]
    assert not [name for name in tracked if "__pycache__" in name or "egg-info" in name]
    assert (project / "data/own/queries.jsonl").read_bytes() == (project.parent / "queries.jsonl").read_bytes()
    assert (project / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    assert "refusals: 8 queries" in (project / "README.md").read_text()
    assert {path.name for path in project.parent.iterdir()} == {"voice", "tools.json", "queries.jsonl", "terms.json"}


def test_only_the_source_the_profile_and_the_users_files_differ_from_the_checkouts_parameters(project):
    ours, theirs = leaves(read(ROOT / "params.yaml")), leaves(read(project / "params.yaml"))
    assert {name: value for name, value in theirs.items() if ours[name] != value} == {
        "profile": "smoke",
        "dataset.source": "own",
        "dataset.general": "none",
        "prompt.rules": [],
        "dataset.own.knowledge": "data/own/knowledge.json",
    }


def test_all_that_the_graph_starts_from_is_in_the_project(project):
    stages = [stage.get("do", stage) for stage in read(project / "dvc.yaml")["stages"].values()]
    made = [str(*out) if isinstance(out, dict) else out for stage in stages for out in stage["outs"]]
    fixed = {dep for stage in stages for dep in stage["deps"] if "$" not in dep}
    first = {dep for dep in fixed if not any(Path(dep).is_relative_to(out) for out in made if "$" not in out)}
    absent = sorted(dep for dep in first if not (project / dep).exists())
    made_each = ("data/models/", "data/results/", "data/logs/", "data/descriptions/", "data/thoughts/")
    assert [dep for dep in absent if not f"{dep}/".startswith(made_each)] == []


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("full", "full exists and is not empty"),
        ("full/tools.json", "exists and is not empty"),
        ("nowhere/voice", "there is no .*nowhere"),
        (".", "is the current folder"),
        ("repository/voice", "lies in the git repository .*repository"),
    ],
)
def test_a_folder_that_is_not_free_is_refused(tmp_path, monkeypatch, folder, message):
    monkeypatch.chdir(tmp_path)
    for name in ("full", "repository"):
        (tmp_path / name).mkdir()
    git(tmp_path / "repository", "init", "--quiet")
    own = files(tmp_path / "full")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message):
        create(Path(folder), own, "smoke")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_the_repository_ignores_is_free(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("/voice\n")
    create(tmp_path / "voice", files(tmp_path), "smoke")
    assert (tmp_path / "voice/.dvc").is_dir()


@pytest.mark.parametrize(
    ("change", "profile", "message"),
    [
        ({"queries": "none.jsonl"}, "smoke", "--queries: none.jsonl does not exist"),
        ({"verdicts": "none.jsonl"}, "smoke", "--verdicts: none.jsonl does not exist"),
        ({}, "huge", r"profile: there is no profiles/huge.yaml \(profiles here: cpu, gpu, paper, smoke\)"),
    ],
)
def test_a_wrong_option_leaves_nothing(tmp_path, change, profile, message):
    own = files(tmp_path, **change)
    with pytest.raises(UserError, match=message):
        create(tmp_path / "voice", own, profile)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["queries.jsonl", "tools.json"]


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([row(0, "fly")], "queries.jsonl, line 1: field 'answers': 'fly'"),
        ([{"id": "1", "query": "brew", "answer": []}], "line 1: field 'answer': did you mean 'answers'"),
        ([row(n, "brew") for n in range(3)], "only 3 labelled templates, .*; 4 are needed"),
        ([*rows(), row(500, "order")], "id 'q500': field 'answers': 'order' is also called by a row tagged unseen"),
    ],
)
def test_wrong_queries_leave_nothing(tmp_path, queries, message):
    own = files(tmp_path, queries)
    with pytest.raises(UserError, match=message):
        create(tmp_path / "voice", own, "smoke")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["queries.jsonl", "tools.json"]


def test_a_fault_at_the_last_step_leaves_nothing(tmp_path, monkeypatch):
    own = files(tmp_path)
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with pytest.raises(UserError, match="-m dvc init"):
        create(tmp_path / "voice", own, "smoke")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["queries.jsonl", "tools.json"]


def test_who_has_no_name_in_git_is_told_before_any_work(tmp_path, monkeypatch):
    own = files(tmp_path)
    for name in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    with pytest.raises(UserError, match="git config"):
        create(tmp_path / "voice", own, "smoke")


def test_a_package_without_its_checkout_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.setattr(supertiny, "__file__", str(tmp_path / "site/src/supertiny/__init__.py"))
    with pytest.raises(UserError, match=r"site/.dvcignore does not exist; .*clone supertiny"):
        create(tmp_path / "voice", files(tmp_path), "smoke")


def test_a_parameter_is_set_and_nothing_else_is_written_anew(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    set_parameters(path, {"dataset.own.queries": "elsewhere.jsonl", "distill.mu_start": 0.9})
    old, new = ((folder / "params.yaml").read_text().splitlines() for folder in (ROOT, tmp_path))
    assert len(old) == len(new)
    changed = {one.split(":")[0].strip() for one, other in zip(old, new, strict=True) if one.split() != other.split()}
    assert changed == {"queries", "mu_start"}
    assert [line for line in new if line.startswith("  sft: ")] == [line for line in old if line.startswith("  sft: ")]
    assert any("&sft {" in line for line in new) and "  sft: *sft" in new, "what is served is what is asked"
