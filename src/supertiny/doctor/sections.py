"""What each section of params.yaml and of a profile is read as, by a stage, an engine or a command."""

from typing import Any

from supertiny.baseline.config import BaselineConfig, BaselineSizes
from supertiny.core.machine import Engines
from supertiny.core.rows import ModelConfig, PolicyConfig, SystemConfig
from supertiny.data.dataset import DatasetConfig, DatasetSizes
from supertiny.describe.config import DescribeConfig, DescriberConfig, DescribeSizes, RejectConfig
from supertiny.distill.cache import LogitsSizes
from supertiny.distill.config import DistillConfig
from supertiny.distill.rows import LogitsConfig
from supertiny.distill.student import StudentConfig
from supertiny.engines.megatron._layout import MegatronConfig
from supertiny.engines.openrlhf._config import OpenrlhfConfig
from supertiny.engines.trtllm._kind import TrtllmConfig
from supertiny.judge.kinds import JudgeConfig, JudgeSizes
from supertiny.launcher.config import LaunchConfig, ServersConfig
from supertiny.measure.evaluate import EvaluateSizes
from supertiny.measure.load import BenchConfig, BenchSizes
from supertiny.model.ask import ChatConfig, ChatMachine, DecodeConfig, GenerateMachine
from supertiny.model.labelling import LabellingConfig
from supertiny.model.sources import ModelsConfig
from supertiny.model.training import TrainMachine
from supertiny.plan.machine import GpusConfig
from supertiny.prompt.compressed import PromptConfig
from supertiny.prototype.ablation import ChangeConfig
from supertiny.prototype.config import PrototypeConfig, PrototypeSizes
from supertiny.prune.config import PruneConfig, PrunedConfig
from supertiny.quantize.config import QuantizationConfig, QuantizedConfig
from supertiny.recover.texts import GeneralSizes
from supertiny.retrieve.recall import RetrievalConfig
from supertiny.retrieve.train import RetrieverSizes
from supertiny.review.gates import GateConfig
from supertiny.rft.accept import RftSizes
from supertiny.rl.config import RlConfig, RlMachine, ThoughtSizes
from supertiny.serve.config import ServiceConfig
from supertiny.sft.config import PackConfig, SftConfig, SftSizes

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
