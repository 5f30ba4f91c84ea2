"""Every parameter is looked at before any stage works: a wrong one far down the graph would be found hours later."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from supertiny.baseline.parts import BaselineConfig, BaselineSizes
from supertiny.commands.packages import Asked
from supertiny.commands.plan.graph import GRAPH, stages
from supertiny.commands.plan.hardware import GpusConfig
from supertiny.compress.quantize import QuantizationConfig, QuantizedConfig
from supertiny.compress.search import PruneConfig, PrunedConfig
from supertiny.compress.shrink import StudentConfig
from supertiny.core.ask import ChatConfig, ChatMachine, DecodeConfig, GenerateMachine
from supertiny.core.config import PARAMS, Engines, load, load_each, load_profile, profile_path, seed
from supertiny.core.errors import UserError
from supertiny.core.files import digest
from supertiny.core.findings import Finding, missing, ok
from supertiny.core.prompt import PromptConfig
from supertiny.core.stage import cache_home
from supertiny.data.dataset import DatasetConfig, DatasetSizes
from supertiny.distill.divergence import DistillConfig
from supertiny.distill.rows import LogitsConfig
from supertiny.distill.store import LogitsSizes
from supertiny.engines.megatron.layout import MegatronConfig
from supertiny.engines.openrlhf.arguments import OpenrlhfConfig
from supertiny.engines.servers.launch import LaunchConfig, ServersConfig
from supertiny.engines.servers.trtllm import TrtllmConfig
from supertiny.judge.reference import JudgeConfig, JudgeSizes
from supertiny.measure.evaluate import EvaluateSizes
from supertiny.measure.load import BenchConfig, BenchSizes
from supertiny.measure.systems import ModelConfig, PolicyConfig, SystemConfig
from supertiny.model.classifier import LabellingConfig
from supertiny.model.sources import ModelsConfig
from supertiny.model.train import TrainMachine
from supertiny.prototype.ablation import ChangeConfig
from supertiny.prototype.prototype import PrototypeConfig, PrototypeSizes
from supertiny.prototype.rft import RftSizes
from supertiny.report.compare import GateConfig
from supertiny.retrieval.classifier import RetrieverSizes
from supertiny.retrieval.describe import DescribeConfig, DescriberConfig, DescribeSizes, RejectConfig
from supertiny.retrieval.recall import RetrievalConfig
from supertiny.rl.config import RlConfig, RlMachine, ThoughtSizes
from supertiny.serve.app import ServiceConfig
from supertiny.sft.general import GeneralSizes
from supertiny.sft.packs import PackConfig, SftConfig, SftSizes

DATA = Path("data")


def known() -> None:
    """Whatever a stage reads of the graph's data is made by a stage, or there; else one error names all that is not."""
    if not GRAPH.is_file():
        return
    yaml = YAML(typ="safe")
    try:
        found = stages(yaml.load(GRAPH), yaml.load(PARAMS))
    except UserError:  # a stage of the user's own, with `vars` or `matrix`: DVC says itself what it cannot resolve
        return
    made = {Path(out) for stage in found for out in stage.outs}
    wrong = [
        f"{dep}, which stage {stage.name} reads"
        for stage in found
        for dep in map(Path, stage.deps)
        if DATA in dep.parents and not made & {dep, *dep.parents} and not dep.exists()
    ]
    if wrong:
        raise UserError(f"{PARAMS}: no stage makes {'; '.join(wrong)}: is a name wrong there, or still in {GRAPH}?")


Schemas = dict[str, type[Any]]
SECTIONS: Schemas = {
    "dataset": DatasetConfig,
    "prototype": PrototypeConfig,
    "judge": JudgeConfig,
    "judge_chat": ChatConfig,
    "judge_classifier": LabellingConfig,
    "prompt": PromptConfig,
    "pack": PackConfig,
    **dict.fromkeys(("sft", "teaching", "thinking", "general", "recovery"), SftConfig),
    "logits": LogitsConfig,
    "distill": DistillConfig,
    "prune": PruneConfig,
    "quantization": QuantizationConfig,
    "rl": RlConfig,
    "decode": DecodeConfig,
    "bench": BenchConfig,
    "baseline": BaselineConfig,
    "retriever": LabellingConfig,
    "retrieval": RetrievalConfig,
    "describe": DescribeConfig,
    "reject": RejectConfig,
    "describer": DescriberConfig,
}
"""of params.yaml"""
ENTRIES: Schemas = {
    "ablation": ChangeConfig,
    "pruned": PrunedConfig,
    "quantized": QuantizedConfig,
    "systems": SystemConfig,
    "models": ModelConfig,
    "policies": PolicyConfig,
    "gates": GateConfig,
}
"""of params.yaml, where every entry is one"""
MACHINE: Schemas = {
    "models": ModelsConfig,
    "engines": Engines,
    "dataset": DatasetSizes,
    "prototype": PrototypeSizes,
    "judge_sizes": JudgeSizes,
    "rft": RftSizes,
    "sft": SftSizes,
    "general": GeneralSizes,
    "logits": LogitsSizes,
    "train": TrainMachine,
    "chat": ChatMachine,
    "generate": GenerateMachine,
    "rollouts": RlMachine,
    "thoughts": ThoughtSizes,
    "evaluate": EvaluateSizes,
    "bench": BenchSizes,
    "baseline": BaselineSizes,
    "retriever": RetrieverSizes,
    "describe": DescribeSizes,
    "service": ServiceConfig,
    "launch": LaunchConfig,
    "servers": ServersConfig,
    "megatron": MegatronConfig,
    "openrlhf": OpenrlhfConfig,
    "trtllm": TrtllmConfig,
    "gpus": GpusConfig,
}
"""of the profile"""
MACHINE_ENTRIES: Schemas = {"student_models": StudentConfig}
"""of the profile, where every entry is one"""


def findings(_: Asked) -> list[Finding]:
    """A line for each section that is wrong, or one for all."""
    found = [missing("parameters", said, "mend it, or `git checkout params.yaml profiles`") for said in wrong()]
    return found or [ok("parameters", f"{PARAMS} and {profile_path()}: all of their type and in their range")]


def refuse() -> None:
    """One error that names every wrong section of the project in the current folder.

    What was right once is not looked at again: the configs' modules take seconds to import.
    """
    files = [path for path in (PARAMS, GRAPH, *sorted(Path("profiles").glob("*.yaml"))) if path.is_file()]
    right = cache_home() / "parameters" / digest(*files)[:24]
    if PARAMS not in files or right.is_file():
        return
    if said := wrong():
        raise UserError("\n       ".join(said))
    right.parent.mkdir(parents=True, exist_ok=True)
    right.touch()


def wrong() -> list[str]:
    """What is said, once, of each section that is not as the stages of the graph read it."""
    return list(dict.fromkeys(said for check in _checks() if (said := _error(check))))


def _checks() -> Iterator[Callable[[], Any]]:
    from supertiny.commands.engines import possible

    pass
    pass

    yield seed
    yield from (partial(load, name, schema) for name, schema in SECTIONS.items())
    yield from (partial(load_each, name, schema, empty=True) for name, schema in ENTRIES.items())
    yield known
    yield profile_path
    if _error(profile_path):  # said once, not by each of its sections
        return
    profile = YAML(typ="safe").load(profile_path())
    yield from (partial(load_profile, name, schema) for name, schema in MACHINE.items())
    for section, schema in MACHINE_ENTRIES.items():
        yield from (partial(load_profile, f"{section}.{name}", schema) for name in profile.get(section) or {})
    yield possible


def _error(check: Callable[[], Any]) -> str:
    try:
        check()
    except UserError as error:
        return str(error)
    return ""
