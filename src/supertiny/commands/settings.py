"""Every parameter is looked at before any stage works: a wrong one far down the graph would be found hours later.

What a section holds is said once, here: SECTIONS and ENTRIES of params.yaml, MACHINE of the profile. A key that nobody
reads is an error too.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from supertiny.baseline.config import BaselineConfig, BaselineSizes
from supertiny.commands.engines import possible
from supertiny.commands.packages import Asked
from supertiny.commands.plan.graph import GRAPH, stages, touched
from supertiny.commands.plan.hardware import GpusConfig
from supertiny.compress.config import QuantizationConfig, QuantizedConfig, ShrinkConfig
from supertiny.core.ask import ChatMachine, DecodeConfig, GenerateMachine
from supertiny.core.config import (
    PARAMS,
    Engines,
    load,
    load_each,
    load_over,
    load_profile,
    profile,
    profile_path,
    read_yaml,
    seed,
)
from supertiny.core.errors import UserError
from supertiny.core.findings import Finding, missing, ok
from supertiny.core.prompt import PromptConfig
from supertiny.data.dataset import DatasetConfig, DatasetSizes
from supertiny.distill.config import DistillConfig, LogitsConfig, LogitsSizes
from supertiny.engines.megatron.config import MegatronConfig
from supertiny.engines.openrlhf.arguments import OpenrlhfConfig
from supertiny.engines.servers.launch import LaunchConfig, ServersConfig, TrtllmConfig
from supertiny.measure.evaluate import EvaluateSizes
from supertiny.measure.load import BenchConfig, BenchSizes
from supertiny.measure.systems import SystemConfig, tables
from supertiny.model.config import LabellingConfig, ModelsConfig, TrainMachine
from supertiny.model.trained import COMMON, TABLES, RlEntry, training, way_to_train
from supertiny.prototype.config import ChangeConfig, JudgeConfig, JudgeSizes, PrototypeConfig, PrototypeSizes, RftSizes
from supertiny.report.compare import GateConfig
from supertiny.retrieval.config import (
    DescribeConfig,
    DescriberConfig,
    DescribeSizes,
    RejectConfig,
    RetrievalConfig,
    RetrieverSizes,
)
from supertiny.rl.config import RlConfig, RlMachine, ThoughtSizes, TracesConfig
from supertiny.serve.config import ServiceConfig
from supertiny.sft.groups import GeneralSizes, PackConfig, SftSizes

Schemas = Mapping[str, type[Any]]
SECTIONS: Schemas = {
    "dataset": DatasetConfig,
    "prototype": PrototypeConfig,
    "judge": JudgeConfig,
    "prompt": PromptConfig,
    "pack": PackConfig,
    "logits": LogitsConfig,
    "distill": DistillConfig,
    "quantization": QuantizationConfig,
    "rl": RlConfig,
    "retriever": LabellingConfig,
    "retrieval": RetrievalConfig,
    "describe": DescribeConfig,
    "reject": RejectConfig,
    "describer": DescriberConfig,
    "decode": DecodeConfig,
    "baseline": BaselineConfig,
    "bench": BenchConfig,
}
"""of params.yaml"""
ENTRIES: Schemas = {
    "ablation": ChangeConfig,
    **{f"trained.{table}": schema for table, schema in TABLES.items()},
    "trained.rl": RlEntry,
    "trained.quantize": QuantizedConfig,
    "systems": SystemConfig,
    "served": SystemConfig,
    "traces": TracesConfig,
    "gates": GateConfig,
}
"""of params.yaml, where every entry is one"""
OVER = ("trained.shrink", "shrink", "training")
"""of params.yaml, whose parts make one setting together: `_over_one_another`"""
ALONE = ("seed", "profile")
"""keys of params.yaml that are no section"""
MACHINE: Schemas = {
    "base": ModelsConfig,
    "engines": Engines,
    "sizes.dataset": DatasetSizes,
    "sizes.prototype": PrototypeSizes,
    "sizes.judge": JudgeSizes,
    "sizes.rft": RftSizes,
    "sizes.sft": SftSizes,
    "sizes.general": GeneralSizes,
    "sizes.thoughts": ThoughtSizes,
    "sizes.retriever": RetrieverSizes,
    "sizes.describe": DescribeSizes,
    "sizes.baseline": BaselineSizes,
    "sizes.logits": LogitsSizes,
    "sizes.evaluate": EvaluateSizes,
    "sizes.bench": BenchSizes,
    "train": TrainMachine,
    "chat": ChatMachine,
    "generate": GenerateMachine,
    "rollouts": RlMachine,
    "megatron": MegatronConfig,
    "openrlhf": OpenrlhfConfig,
    "launch": LaunchConfig,
    "servers": ServersConfig,
    "trtllm": TrtllmConfig,
    "service": ServiceConfig,
    "gpus": GpusConfig,
}
"""of the profile"""


def findings(_: Asked) -> list[Finding]:
    """A line for each section that is wrong, or one for all."""
    found = [missing("parameters", said, "mend it, or `git checkout params.yaml profiles`") for said in wrong()]
    return found or [ok("parameters", f"{PARAMS} and {profile_path()}: all of their type and in their range")]


def refuse() -> None:
    """One error that names every wrong section of the project in the current folder."""
    if said := wrong():
        raise UserError("\n       ".join(said))


def wrong() -> list[str]:
    """What is said, once, of each section that is not as the stages of the graph read it."""
    return list(dict.fromkeys(said for check in _checks() if (said := _error(check))))


def known() -> None:
    """Whatever a stage reads of the graph's data is made by a stage, or there; else one error names all that is not."""
    if not GRAPH.is_file():
        return
    try:
        found = stages(read_yaml(GRAPH), read_yaml(PARAMS))
    except UserError:  # a stage of the user's own, with `vars` or `matrix`: DVC says itself what it cannot resolve
        return
    made = {out for stage in found for out in stage.outs}
    wrong = [
        f"{dep}, which stage {stage.name} reads"
        for stage in found
        for dep in stage.deps
        if DATA in Path(dep).parents and not touched(dep, made) and not Path(dep).exists()
    ]
    if wrong:
        raise UserError(f"{PARAMS}: no stage makes {'; '.join(wrong)}: is a name wrong there, or still in {GRAPH}?")


DATA = Path("data")


def all_read() -> None:
    """No key of params.yaml is one that nobody reads; a stage of the user's own may read further sections."""
    listed = list(_listed(read_yaml(GRAPH)["stages"])) if GRAPH.is_file() else []
    ours = {*ALONE, *SECTIONS, *ENTRIES, *OVER}
    strange = [
        name for name in unread(read_yaml(PARAMS), ours) if not any(f"{one}.".startswith(f"{name}.") for one in listed)
    ]
    if strange:
        named = "; ".join(f"{name}: nothing reads it{_meant(name, ours)}" for name in strange)
        raise UserError(f"{PARAMS}: {named}; mend it, remove it, or list it in `params` of a stage in {GRAPH}")


def all_read_of_profile() -> None:
    """The same of the chosen profile, with those that it extends."""
    if strange := list(unread(profile(), MACHINE)):
        named = "; ".join(f"{name}: nothing reads it{_meant(name, MACHINE)}" for name in strange)
        raise UserError(f"{profile_path()}: {named}; mend it or remove it")


def unread(values: Mapping[str, Any], ours: Collection[str], above: str = "") -> Iterator[str]:
    """The dotted keys in `values` that neither are among `ours` nor hold one of them.

    >>> list(unread({"a": {"b": 1, "c": 2}, "d": {"x": 3}}, {"a.b", "d"}))
    ['a.c']
    """
    for key, value in values.items():
        name = f"{above}{key}"
        inside = any(one.startswith(f"{name}.") for one in ours)
        if name in ours:
            continue
        if inside and isinstance(value, dict):
            yield from unread(value, ours, f"{name}.")
        elif not inside:
            yield name


def _listed(graph: Mapping[str, Any]) -> Iterator[str]:
    """Sections of params.yaml that a stage of dvc.yaml says it reads."""
    for stage in graph.values():
        for one in stage.get("do", stage).get("params") or ():
            names = [one] if isinstance(one, str) else one.get(str(PARAMS)) or ()
            yield from (re.sub(r"\.?\$\{.*", "", name) for name in names)


def _meant(name: str, ours: Iterable[str]) -> str:
    near = get_close_matches(name, ours, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _checks() -> Iterator[Callable[[], Any]]:
    yield seed
    yield from (partial(load, name, schema) for name, schema in SECTIONS.items())
    yield from (partial(load_each, name, schema, empty=True) for name, schema in ENTRIES.items())
    params = read_yaml(PARAMS)
    yield from _over_one_another(params)
    if all(isinstance(params.get(name), dict) for name in ("systems", "served", "trained")):
        yield tables
    yield all_read
    yield known
    yield profile
    if _error(profile):  # said once, not by each of its sections
        return
    yield from (partial(load_profile, name, schema) for name, schema in MACHINE.items())
    yield all_read_of_profile
    yield possible


def _over_one_another(params: Mapping[str, Any]) -> Iterator[Callable[[], Any]]:
    """Of what is said in common and what an entry says besides, each as the stages read it."""
    ways, trained = params.get("training"), params.get("trained")
    yield from (partial(way_to_train, way) for way in (ways if isinstance(ways, dict) else ()) if way != COMMON)
    tables = trained if isinstance(trained, dict) else {}
    yield from (partial(training, table, name) for table in TABLES for name in tables.get(table) or ())
    for name in tables.get("shrink") or ():
        yield partial(load_over, ("shrink", f"trained.shrink.{name}"), ShrinkConfig)


def _error(check: Callable[[], Any]) -> str:
    try:
        check()
    except UserError as error:
        return str(error)
    return ""
