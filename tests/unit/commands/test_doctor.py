"""What `supertiny doctor` finds, on projects with one thing missing each."""

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from supertiny.commands import engines, machine, packages, settings, store
from supertiny.commands.doctor import main
from supertiny.commands.packages import Package
from supertiny.core.code import Tree
from supertiny.core.config import MACHINE, profile
from supertiny.core.errors import UserError
from supertiny.core.files import write_json
from supertiny.core.findings import State
from supertiny.engines.reach import CODE, write_codes
from tests.house import yaml
from tests.project import TOP, smoke_project

ENV = os.environ | {"PYTHONPATH": str(TOP / "src")}
PYPROJECT = """
[project]
name = "supertiny"
requires-python = ">=3.11"
dependencies = ["packaging>=1"{more}]
[project.optional-dependencies]
endpoint = ["packaging>=9999"]
quantize = ["no-such-package>=1"]
other = ["no_such.thing"]
dev = ["supertiny[endpoint]", "packaging; python_version < '3'"]
"""


@pytest.fixture
def project(tmp_path):
    """The smoke profile, where the endpoint serves the large model and nothing is quantized to 4 bits."""

    def change(params, profile):
        params["trained"]["quantize"] = {"w8a8": params["trained"]["quantize"]["w8a8"]}
        profile["engines"]["chat"] = "endpoint"
        profile["chat"] |= {"url": "http://gpu1:30000/v1", "served_model": "large"}

    with smoke_project(tmp_path, change) as folder:
        write_pyproject(folder)
        yield folder


def write_pyproject(folder: Path, more: str = "") -> None:
    (folder / "pyproject.toml").write_text(PYPROJECT.format(more=more))


def states(findings) -> dict[str, State]:
    assert all(one.remedy or one.state is State.OK for one in findings), "what is wrong has a remedy"
    return {one.what: one.state for one in findings}


def test_an_extra_that_the_profile_uses_is_missing_and_another_is_a_warning(project):
    assert states(packages.findings(packages.read_packages())) == {
        "code": State.OK,
        "packages": State.OK,
        "extra endpoint": State.MISSING,  # the version is too old
        "extra quantize": State.WARNING,
        "extra other": State.WARNING,
        "extra dev": State.OK,
    }
    write_pyproject(project, more=', "no-such-package"')
    (_, found, *_) = packages.findings(packages.read_packages())
    assert found.state is State.MISSING and "no-such-package -" in found.said and found.remedy.endswith("-e '.'")


def test_commands_that_run_another_copy_than_the_stages_are_a_warning(project):
    (project / "src/supertiny").mkdir(parents=True)
    (found, *_) = packages.findings({})
    assert found.state is State.WARNING and str(project / "src/supertiny") in found.said


def test_four_bits_use_gptq(tmp_path):
    with smoke_project(tmp_path, lambda params, profile: None) as folder:
        write_pyproject(folder)
        assert states(packages.findings(packages.read_packages()))["extra quantize"] is State.MISSING


def test_an_import_is_mended_by_the_extra_that_brings_it():
    asked = {"": [], "gpu": [Package("No.Such-Thing", "", None, False)]}
    assert packages.extra_of("no_such_thing", asked) == "pip install -c constraints.txt -e '.[gpu]'"
    assert packages.extra_of("other", asked) == "pip install other"


def test_what_an_engine_lacks_is_found_in_its_code_and_in_ours_that_it_imports(tmp_path):
    (tmp_path / "chat.py").write_text(
        "import json\nfrom supertiny.core.files import digest\n\ndef chat():\n    import no_such_thing.part\n"
    )
    assert engines.lacking([tmp_path / "chat.py"]) == ["no_such_thing"]
    assert engines.lacking(engines.code_of("native")) == []


def test_the_code_of_an_engine_is_what_the_table_says():
    names = {path.relative_to(engines.PACKAGE).as_posix() for path in engines.code_of("native")}
    verbs = {f"engines/native/{name}.py" for name in ("answer", "train", "logits", "rl")}
    assert names == verbs | {"__init__.py", "engines/__init__.py", "engines/native/__init__.py"}


def test_engines_say_what_the_profile_asks_of_them(project, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "openai" else name)
    asked = {"": [], "endpoint": [Package("openai", ">=3", None, False)]}
    found = {one.what: one for one in engines.findings(asked)}
    assert found["engine native"].state is State.OK
    assert "the profile's generate, serve, train, logits, rl" in found["engine native"].said
    assert found["engine endpoint"].state is State.MISSING and "lacks openai" in found["engine endpoint"].said
    assert "'.[endpoint]'" in found["engine endpoint"].remedy
    assert found["endpoint"].state is State.OK


def test_an_engine_that_cannot_or_is_not_there_is_a_wrong_parameter(tmp_path):
    def change(params, profile):
        profile["engines"] |= {"train": "endpoint", "rl": "magic"}

    with smoke_project(tmp_path, change):
        found = {one.what: one for one in engines.findings({"": []})}
        (said,) = settings.wrong()
    assert said.startswith("profiles/smoke.yaml: engines.train: engine 'endpoint' cannot train; it can chat, serve, ")
    assert "megatron, native can train; engines.rl: there is no engine 'magic'" in said
    assert found["chat.url"].state is found["chat.served_model"].state is State.MISSING


def test_an_engine_lacks_the_programs_of_its_environment(tmp_path):
    """Unless a server is there already, or they run on other machines."""

    def found(**changed) -> dict[str, State]:
        def change(params, profile):
            profile["engines"] |= {"chat": "sglang", "rl": "openrlhf"}
            profile["launch"]["programs"]["openrlhf"] = str(tmp_path)
            for section, values in changed.items():
                profile[section] = profile[section] | values

        folder = tmp_path / f"project{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        with smoke_project(folder, change):
            return states(engines.findings({"": []}))

    lacking = found()
    assert lacking["engine sglang"] is State.MISSING and lacking["engine vllm"] is State.WARNING
    assert lacking["engine openrlhf"] is lacking["engine native"] is State.OK
    far = found(launch={"template": "ssh gpu1 {command}"})
    assert far["engine sglang"] is far["engine vllm"] is State.OK
    servers = yaml("profiles/cpu.yaml")["servers"]
    there = found(servers={"chat": servers["chat"] | {"url": "http://gpu1:30000/v1"}})
    assert there["engine sglang"] is State.OK and there["engine trtllm"] is State.WARNING
    theirs = {"url": "http://gpu1:30000/v1", "key_variable": "SUCH_A_KEY"}
    locked = found(servers={"answers": servers["answers"] | theirs})
    assert locked["servers.answers.key_variable"] is State.MISSING


def test_the_endpoints_key_is_looked_for(project, monkeypatch):
    from supertiny.core.ask import ChatMachine
    from supertiny.core.config import load_profile

    asked = load_profile("chat", ChatMachine)
    asked.key_variable = "SUCH_A_KEY"
    (found,) = engines.endpoint(asked)
    assert found.state is State.MISSING and "SUCH_A_KEY" in found.remedy
    monkeypatch.setenv("SUCH_A_KEY", "x")
    assert [one.state for one in engines.endpoint(asked)] == [State.OK]


def test_room_for_the_logits_is_counted_by_the_profile_and_measured_bytes(project, monkeypatch):
    # 12 answers of the prototype and 60 labelled rows, 40 of dev, 96 tokens each
    assert machine.num_tokens() == (12 + 60 + 40) * 96
    assert machine.bytes_per_token() == (1200, ", unpacked")
    write_json(machine.MEASURED, {"bytes_per_token": 51.0})
    assert machine.bytes_per_token()[0] == 51.0
    need = 51 * 112 * 96
    usage = namedtuple("usage", "total used free")
    for free, state in ((2 * need, State.MISSING), (2 * need + 1, State.OK)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage(0, 0, free))
        assert states(machine.space({})) == {"disk, project": state, "disk, cache": state}


def test_more_threads_than_cores_are_a_warning(project, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    assert states(machine.findings({}))["threads"] is State.WARNING
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = {one.what: one for one in machine.findings({})}
    assert {one.state for one in found.values()} == {State.OK}
    assert found["threads"].said.startswith("1 on ")


def test_a_profile_that_names_its_precision_needs_no_torch(project):
    code = "import sys; from supertiny.commands import machine; found = machine.findings({})\n"
    code += "assert 'torch' not in sys.modules or [one for one in found if one.what == 'gpu'][0].said != 'none'\n"
    code += "print([one.said for one in found if one.what == 'precision'][0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV)
    *sections, why = done.stdout.strip().split(", ")
    assert {"chat float32", "generate float32", "train float32"} <= set(sections), done.stderr
    assert why == "as the profile says"


def test_auto_is_what_it_becomes_here(tmp_path):
    from supertiny.model.hardware import compute_dtype

    def change(params, profile):
        profile["train"]["precision"] = "auto"

    with smoke_project(tmp_path, change) as folder:
        write_pyproject(folder)
        (said,) = [one.said for one in machine.findings({}) if one.what == "precision"]
    assert said == f"auto is {str(compute_dtype('auto')).split('.')[-1]} here (train)"


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def test_git_and_dvc_are_looked_at_as_they_come(project, monkeypatch):
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
    assert states(store.findings({})) == {
        "git": State.MISSING,
        "dvc": State.MISSING,
        "resolve": State.WARNING,
    }
    run("git", "init", "--quiet")
    assert states(store.findings({}))["git"] is State.WARNING
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    run("git", "commit", "--quiet", "-m", "first")
    found = {one.what: one for one in store.findings({})}
    assert found["git"].state is State.OK and "changed or new" in found["git"].said
    assert found["dvc remote"].state is State.WARNING
    run(sys.executable, "-m", "dvc", "remote", "add", "--default", "shared", str(project / "remote"))
    run(sys.executable, "-m", "dvc", "config", "cache.type", "symlink,copy")
    found = {one.what: one for one in store.findings({})}
    assert {what for what, one in found.items() if one.state is not State.OK} == {"resolve"}
    assert "(default)" in found["dvc remote shared"].said and ", symlink (" in found["dvc cache"].said
    run(sys.executable, "-m", "dvc", "config", "cache.type", "copy")
    assert states(store.findings({}))["dvc cache"] is State.WARNING
    assert not [path for path in project.iterdir() if path.name.startswith(".") and path.name not in
                (".git", ".dvc", ".dvcignore")], "the trial of links leaves nothing"  # fmt: skip


def test_a_remote_whose_package_is_not_here_is_missing(project):
    run("git", "init", "--quiet")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    run(sys.executable, "-m", "dvc", "remote", "add", "far", "webhdfs://host/path")
    found = {one.what: one for one in store.findings({})}["dvc remote far"]
    assert found.state is State.MISSING and found.remedy == "pip install 'dvc[webhdfs]'"


def test_a_profile_or_code_that_is_not_what_was_resolved_is_told(project):
    def found():
        (one,) = [one for one in store.findings({}) if one.what == "resolve"]
        assert one.state is State.OK or one.remedy.startswith("`make status`")
        return one

    assert "are not there yet" in found().said
    for folder in ("stages", "src/supertiny"):
        (project / folder).mkdir(parents=True)
        (project / folder / "__init__.py").write_text("")
    script = project / "stages/base.py"
    script.write_text("x = 1\n")
    write_json(MACHINE, {"profile": "smoke", **profile()})
    write_codes(CODE, Tree(Path()))
    assert found().state is State.OK
    script.write_text('"""Said."""\n\nx = 1  # so\n')
    assert found().state is State.OK, "a comment is no change"
    script.write_text("x = 2\n")
    assert found().state is State.WARNING and "than base reach now" in found().said
    write_codes(CODE, Tree(Path()))
    edited = yaml(str(project / "profiles/smoke.yaml"))
    edited["train"]["max_tokens"] = 17
    (project / "profiles/smoke.yaml").write_text(json.dumps(edited))
    assert found().state is State.WARNING and "is not what profiles/smoke.yaml says now" in found().said


def test_the_command_says_all_and_fails_where_the_profile_lacks_something(project, capsys):
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().out
    assert ended.value.code == 1
    assert "missing  extra endpoint: packaging" in said and "missing  git: no repository; git init" in said
    with pytest.raises(SystemExit):
        main(form="json")
    found = json.loads(capsys.readouterr().out)
    assert len(found) == len(said.splitlines()) and {"state", "what", "said", "remedy"} == set(found[0])


def test_what_cannot_be_looked_at_is_a_finding_and_the_rest_is_looked_at(project, capsys):
    (project / "params.yaml").write_text("profile: nowhere\n")
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    assert "missing  engines: not looked at: params.yaml: profile: there is no profiles/nowhere.yaml" in said
    assert "missing  git: no repository" in said


def test_it_wants_a_project_and_a_known_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="pyproject.toml does not exist; run from the top folder"):
        main()
    with pytest.raises(UserError, match="--form: expected text or json"):
        main(form="xml")
