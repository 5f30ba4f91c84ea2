"""The plan of every setting: no option that its program does not know, no file that nobody makes."""

import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from supertiny import commands
from supertiny.commands import plan
from supertiny.commands.plan import changed
from supertiny.commands.plan.graph import GRAPH, stages, touched
from supertiny.commands.plan.page import BY_CONTENT, HOSTED, page, planned
from supertiny.commands.plan.work import WORK, models, read_setting, work
from supertiny.core.config import read_yaml
from supertiny.core.errors import UserError
from supertiny.core.files import write_csv
from supertiny.measure.evaluate import SplitSizes
from tests import flags
from tests.house import CHAPTERS, ROOT, calls, profiles, put, whole_params, yaml
from tests.pages import documented
from tests.project import merged

SETTINGS = {
    "cpu": ([], "cpu"),
    "smoke": ([], "smoke"),
    "gpu": ([], "gpu"),
    "paper": ([], "paper"),
    "chapters.set": (CHAPTERS, "cpu"),
    "gpu.set": (plan.overrides(str(ROOT / "profiles/gpu.set")), None),
    "paper.set": (plan.overrides(str(ROOT / "profiles/paper.set")), None),
    "the paper's judge": (
        plan.overrides(" ".join(str(ROOT / f"profiles/paper{kind}.set") for kind in ("", ".judge"))),
        None,
    ),
    "one node, all TensorRT-LLM": (
        [
            "profiles/gpu.yaml:++engines.serve=trtllm",
            *(
                f"++served.{name}={{kind: model, model: {name}, asked: compressed, title: {title}}}"
                for name, title in {
                    "w8a16": '"pruned by 30 %, W8A16"',
                    "w4a16": '"pruned by 30 %, W4A16"',
                    "w8a8": '"pruned by 30 %, W8A8 (FP8)"',
                }.items()
            ),
        ],
        "gpu",
    ),
}
TRACKED = {"data/own", "data/massive", "data/general/instructions.jsonl"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with figures that somebody measured."""
    folder = tmp_path_factory.mktemp("plan")
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder / name)
    put(folder, *CHAPTERS)
    columns = ("prompt_tokens", "uncached_tokens", "new_tokens")
    tokens = {"prototype": (1103.1, 376.5, 21.4), "sft": (168.5, 168.5, 18.3), "thinking": (168.5, 168.5, 46.3)}
    rows = [{"system": name} | dict(zip(columns, row, strict=True)) for name, row in tokens.items()]
    write_csv(folder / "metrics/systems.csv", rows)
    write_csv(folder / "metrics/steps.csv", [{"step": "logits", "figure": "bytes_per_token", "value": 46.21}])
    return folder


@pytest.fixture(scope="module")
def plans(folder):
    """Setting -> (its profile, the stages, what is planned, the setting)."""
    found = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        for name, (overrides, profile) in SETTINGS.items():
            with changed(overrides, profile) as (chosen, params):
                setting = read_setting(folder)
                graph = stages(read_yaml(GRAPH), params)
                sized = models(graph, setting)
                found[name] = (chosen, graph, [planned(one, sized, setting) for one in graph], setting)
    return found


@pytest.mark.parametrize("name", SETTINGS)
def test_every_program_takes_its_command_line(plans, name):
    asked = 0
    for one in plans[name][2]:
        for program in one.programs:
            words = program.own
            if program.engine == "openrlhf":
                asked += _taken(words[5:], "openrlhf")
            elif program.engine in ("sglang", "vllm"):
                asked += _taken(words[3:], program.engine)
            elif program.engine == "trtllm":
                asked += _taken(*_trtllm(words))
    wanted = {"gpu.set": 20, "paper.set": 15, "one node, all TensorRT-LLM": 8}
    assert asked >= wanted.get(name, 0)


def _taken(words, program):
    flags.taken(words, flags.snapshot(program))
    return 1


def _trtllm(words):
    name = Path(words[0]).name
    if name != "python":
        return words[1:], name
    script = Path(words[1])
    family = script.parent.name
    return words[2:], "trtllm-quantize" if script.name == "quantize.py" else f"trtllm-convert-{family}"


@pytest.mark.parametrize("name", SETTINGS)
def test_every_path_is_made_by_an_earlier_stage_or_is_there(plans, name):
    _, graph, found, _ = plans[name]
    made = set(TRACKED)
    for one in found:
        for dep in one.stage.deps:
            assert touched(dep, made) or (ROOT / dep).exists(), f"{one.stage.name} reads {dep}"
        for program in one.programs:
            for path in _data_paths(program.own):
                assert _parts(path) & made, f"{one.stage.name}: {program.engine} reads {path}, which nobody has made"
        made.update(one.stage.outs)
    assert len(graph) == len(found)


def _parts(path):
    """A path and the folders that it lies in."""
    return {str(part) for part in (Path(path), *Path(path).parents)}


def _data_paths(words):
    return [path for word in words for path in re.findall(r"(?:^|[=,])(data/[\w./-]+)", word)]


def test_a_plan_names_no_content_of_models_that_are_not_there(plans):
    """What hangs on content is shown as such, in a folder of the user's cache."""
    programs = [program for one in plans["one node, all TensorRT-LLM"][2] for program in one.programs]
    built = [word for program in programs for word in program.own if BY_CONTENT in word]
    assert built and all("supertiny/servers/trtllm" in word for word in built)


def test_a_quantized_model_is_built_before_it_is_served(plans):
    found = {one.stage.name: one for one in plans["one node, all TensorRT-LLM"][2]}
    names = [Path(program.own[0]).name for program in found["bench@w4a16"].programs]
    assert names == ["python", "trtllm-build", "trtllm-serve"]
    assert [Path(program.own[0]).name for program in found["bench@sft"].programs] == ["trtllm-serve"]


def test_the_papers_setting_has_its_models_on_its_engines(plans):
    _, _, found, setting = plans["paper.set"]
    stages_by_name = {one.stage.name: one for one in found}
    (prototype,) = stages_by_name["prototype"].parts
    assert (prototype.engine, prototype.gpus) == ("sglang", 8)
    assert "Qwen/Qwen2.5-72B-Instruct" in stages_by_name["prototype"].programs[0].own
    rl = stages_by_name["rl@teacher_rl"]
    assert {part.engine for part in rl.parts} == {"openrlhf"} and len(rl.programs) == 1
    words = rl.programs[0].own
    for option, value in {
        "--rollout.n_samples_per_prompt": "8",
        "--algo.kl.estimator": "k2",
        "--actor.adam.lr": "3e-07",
    }.items():
        assert words[words.index(option) + 1] == value
    assert setting.rl.batches == 1400
    (bench,) = stages_by_name["bench@p30"].parts
    assert bench.engine == "trtllm" and bench.memory_gb < 80


def test_the_papers_judge_is_another_model_on_the_same_server(plans):
    for name, model in {"paper.set": "Qwen/Qwen2.5-72B-Instruct", "the paper's judge": "Qwen/QwQ-32B"}.items():
        found = {one.stage.name: one for one in plans[name][2]}
        for stage in ("judge", "rft"):
            (verdicts,), (server,) = found[stage].parts, found[stage].programs
            assert model in server.own and verdicts.hours > 0


def test_the_papers_setting_has_an_engine_for_every_stage_and_says_what_does_not_fit(plans):
    """The describer is trained in this process, and a whole 7B with its optimizer is more than a GPU holds."""
    warned = {one.stage.name: one.warnings for one in plans["paper.set"][2] if one.warnings}
    assert list(warned) == ["describer"] and "llm takes about 212 GB of a GPU's 80" in warned["describer"][0]
    assert not any(one.warnings for one in plans["gpu.set"][2])


def test_a_model_too_large_for_one_gpu_is_shared_by_megatron(plans):
    stages_by_name = {one.stage.name: one for one in plans["paper.set"][2]}
    (sft,) = stages_by_name["sft@sft"].parts
    assert sft.engine == "megatron" and sft.gpus == 8 and sft.memory_gb < 80
    assert not stages_by_name["sft@sft"].warnings and stages_by_name["sft@sft"].programs


def test_what_does_not_fit_and_what_no_engine_can_is_said(folder):
    def warnings(*overrides):
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(folder)
            with changed([f"profiles/gpu.yaml:++{one}" for one in overrides], "gpu") as (_, params):
                setting = read_setting(folder)
                graph = stages(read_yaml(GRAPH), params)
                sized = models(graph, setting)
                return {one.name: planned(one, sized, setting).warnings for one in graph}

    found = warnings("base.llm=Qwen/Qwen2.5-7B-Instruct")
    assert "llm takes about" in found["sft@sft"][0] and "a sharded engine" in found["sft@sft"][0]
    assert not found["evaluate@tiny_kd"]
    many = warnings("servers.chat.tensor_parallel=16", "engines.chat=vllm")
    assert "vllm wants 128 GPUs of 8" in many["prototype"]
    none = warnings("engines.rl=vllm", "engines.chat=nobody")
    assert any(one.startswith("engine 'vllm' cannot rl; it can chat, generate, serve") for one in none["rl@tiny_rl"])
    assert any(one.startswith("there is no engine 'nobody'") for one in none["prototype"])
    assert any(one.startswith("there is no engine 'nobody'") for one in none["bench@prototype"])
    assert any("cannot train; it can" in one for one in warnings("engines.train=vllm")["recover@p20_general"])
    frozen = warnings("engines.rl=openrlhf")
    assert any("rl.frozen: engine openrlhf trains every weight" in one for one in frozen["rl@tiny_rl"])


def of_gpu(plans, name, **changes):
    """Stage `name` of profile gpu with these parts of its setting changed."""
    _, graph, _, setting = plans["gpu"]
    setting = replace(setting, **changes)
    (stage,) = (one for one in graph if one.name == name)
    return planned(stage, models(graph, setting), setting)


def test_a_server_that_cannot_hold_the_weights_is_told_from_one_that_answers_fewer_at_once(plans):
    setting = plans["gpu"][3]
    engines = replace(setting.engines, chat="vllm")
    whole = replace(setting.servers, model="Qwen/Qwen2.5-72B-Instruct")
    (warned,) = of_gpu(plans, "prototype", engines=engines, servers=whole).warnings
    assert warned.startswith("llm's weights are 145 GB a GPU, more than the 68 of memory_share: raise tensor_parallel")
    long = replace(setting.servers, chat=replace(setting.servers.chat, context=2**20))
    (warned,) = of_gpu(plans, "prototype", engines=engines, servers=long).warnings
    assert "128 full sequences are more than memory_share leaves: fewer will run at once" in warned


def test_reinforcement_learning_here_takes_one_process(plans):
    several = replace(plans["gpu"][3].train, processes=2)
    (warned,) = of_gpu(plans, "rl@tiny_rl", train=several).warnings
    assert warned == "engine native does rl in one process, and train.processes is 2"


def test_gpus_that_wait_are_in_the_hours_and_told(plans):
    """A step of one pack: three of a pipeline's four stages wait for one, seven of eight copies for one."""
    setting = plans["gpu"][3]
    alone = of_gpu(plans, "sft@sft").parts[0]
    shared = {
        "engines": replace(setting.engines, train="megatron"),
        "megatron": replace(setting.megatron, pipeline_parallel=4, micro_batches=4),
    }
    for gpus, changes in ((4, shared), (8, {"train": replace(setting.train, processes=8)})):
        (part,) = of_gpu(plans, "sft@sft", **changes).parts
        assert part.gpus == gpus and part.hours == pytest.approx(alone.hours)
    slow = of_gpu(plans, "sft@sft", **shared, gpus=replace(setting.gpus, tflops=3.12))
    assert "a step has 1 packs; params.yaml: training.common.groups_a_step: 4 would keep them busy" in slow.warnings[0]


def test_a_server_whose_address_is_given_is_not_started(plans):
    setting = plans["gpu"][3]
    engines = replace(setting.engines, serve="vllm")
    there = replace(setting.servers, answers=replace(setting.servers.answers, url="http://gpu1:30000/v1"))
    given = of_gpu(plans, "bench@sft", engines=engines, servers=there)
    assert not given.programs and [part.gpus for part in given.parts] == [0]
    assert of_gpu(plans, "bench@sft", engines=engines).programs


def test_command_lines_name_the_projects_folder(plans):
    setting, folder = plans["gpu"][3], Path("/a project")
    launcher = "ssh -tt gpu1 'cd {folder} && {python} -m torch.distributed.run {worker}'"
    answers = replace(setting.servers.answers, port=30_000)
    changes = {
        "folder": folder,
        "servers": replace(setting.servers, answers=answers),
        "engines": replace(setting.engines, train="megatron", serve="vllm"),
        "megatron": replace(setting.megatron, launcher=launcher),
        "launch": replace(setting.launch, template='ssh -tt gpu1 "cd {folder} && {command}"'),
    }
    for name in ("sft@sft", "bench@sft"):
        (program,) = of_gpu(plans, name, **changes).programs
        assert program.words[-1].startswith("cd '/a project' && ")
    assert "--host 0.0.0.0 --port 30000" in program.words[-1]
    portless = of_gpu(plans, "bench@sft", **changes | {"servers": setting.servers})
    assert not portless.programs and "servers.answers.port: 0 looks for a free port" in portless.warnings[0]


def test_more_gpus_and_fewer_queries_take_less(plans):
    hours = {name: sum(part.hours for one in found for part in one.parts) for name, (_, _, found, _) in plans.items()}
    assert 0 < hours["smoke"] < hours["cpu"] and 0 < hours["gpu"] < hours["paper.set"]


def test_the_verbs_that_are_planned_are_those_that_stages_ask_for():
    """`WORK` knows every stage whose script asks an engine, or a system."""
    for stage in stages(yaml("dvc.yaml"), whole_params()):
        script = ROOT / "stages" / f"{stage.script}.py"
        asks = [call for name in ("chosen", "open_system", "open_served") for call in calls(script, name)]
        assert bool(asks) <= (stage.script in WORK), f"{stage.name} asks an engine, and no work is planned for it"


def test_the_page_shows_each_stage(plans):
    chosen, graph, found, setting = plans["gpu.set"]
    text = page(found, chosen, setting)
    assert all(f"# {stage.name}\n{stage.command}" in text for stage in graph)
    assert "hours in all" in text and "| prototype | vllm | 8 |" in text


@pytest.mark.parametrize(
    ("line", "profile"),
    [
        (documented("supertiny plan --profile gpu"), "gpu"),
        (documented('supertiny plan --set "profiles/chapters.set profiles/paper.set"'), "paper"),
        (
            documented('supertiny plan --set "profiles/chapters.set profiles/paper.set profiles/paper.judge.set"'),
            "paper",
        ),
    ],
)
def test_the_commands_of_the_pages_show_their_plans(line, profile, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    commands.main()
    assert capsys.readouterr().out.startswith(f"Profile {profile}: ")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rl.rollouts", "expected key=value"),
        ("rl.rolouts=8", r"'rl\.rolouts=8': params\.yaml has no such key"),
        ("profiles/none.yaml:a=1", "expected key=value or profiles/"),
        ("profiles/gpu.yaml:engines.sing=x", r"profiles/gpu\.yaml has no such key; .*write \+\+ before a key"),
        ("profiles/gpu.yaml:engines.chat=vllm", r"profiles/gpu\.yaml has no such key; .*write \+\+ before a key"),
        ("profiles/gpu.yaml:++engines.sing=x", r"profiles/gpu\.yaml: engines\.sing: .*has no such key"),
        ("profiles/gpu.yaml:++extends.sing=x", r"profiles/gpu\.yaml has no such key"),
    ],
)
def test_an_override_that_dvc_or_the_profile_would_refuse_is_refused(override, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=message):
        plan.main(profile="gpu", set=override)


@pytest.mark.parametrize("name", ["gpu.set", "paper.set"])
def test_dvc_reads_a_file_of_values_as_the_plan_does(name, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    put(tmp_path, *CHAPTERS)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    with changed(SETTINGS[name][0], None) as (_, params):
        ours = {file: read_yaml(file) for file in Path("profiles").glob("*.yaml")} | {Path("params.yaml"): params}
    put(tmp_path, *SETTINGS[name][0])
    assert {file: read_yaml(file) for file in ours} == ours


@pytest.mark.parametrize("name", sorted({"openrlhf", *HOSTED}))
def test_every_program_has_an_environment_at_the_version_that_was_checked(name):
    text = (ROOT / "envs" / f"{name}.txt").read_text()
    program = {"trtllm": "trtllm-serve"}.get(name, name)
    assert f"=={flags.snapshot(program)['version']}" in text
    for profile in profiles():
        assert name in merged(profile)["launch"]["programs"]


def test_work_of_a_stage_is_counted_from_its_profile(plans):
    _, graph, _, setting = plans["cpu"]
    setting = replace(
        setting,
        dataset=replace(setting.dataset, train=20_000, dev=400, test=700, ood=500),
        prototype=replace(setting.prototype, train=80, ablation=12),
        rft=replace(setting.rft, labelled=3200),
        sft=replace(setting.sft, examples=0),
        evaluate=replace(setting.evaluate, models=SplitSizes(test=500, ood=160), prototype=SplitSizes(test=90, ood=0)),
        bench=replace(setting.bench, clients=[1, 8, 16]),
        bench_sizes=replace(setting.bench_sizes, requests=10, warmup=4, max_clients={"model": 16, "prototype": 8}),
        rl=replace(setting.rl, batches=2, prompts_a_batch=16, rollouts=4),
        variants=5,
    )
    by_name = {stage.name: work(stage, setting) for stage in graph}
    assert by_name["prototype"][0].asked.count == 80 and by_name["ablation"][0].asked.count == 5 * 12
    assert by_name["evaluate@prototype"][0].asked.count == 90 + 500
    assert by_name["evaluate@sft"][0].asked.count == 500 + 160
    assert by_name["bench@prototype"][0].asked.count == 4 + 10 + 16
    assert by_name["bench@sft"][0].asked.count == 4 + 10 + 16 + 32
    assert by_name["rl@teacher_rl"][0].asked.count == 2 * 16 * 4
    assert setting.examples == 80 + 3200
    assert [one.model for one in by_name["retrieval"]] == ["llm", "describer"]
    assert by_name["evaluate@baseline"] == by_name["bench@baseline"] == []
    assert by_name["dataset"] == [] and by_name["report"] == []
