"""What each section of params.yaml and of a profile is read as: those that any stage of the graph reads."""

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
from supertiny.judge.kinds import JudgeConfig, JudgeSizes
from supertiny.measure.evaluate import EvaluateSizes
from supertiny.measure.load import BenchConfig, BenchSizes
from supertiny.model.ask import ChatConfig, ChatMachine, DecodeConfig, GenerateMachine
from supertiny.model.labelling import LabellingConfig
from supertiny.model.sources import ModelsConfig
from supertiny.model.training import TrainMachine
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
}
"""of the profile"""
MACHINE_ENTRIES: Schemas = {"student_models": StudentConfig}
"""of the profile, where every entry is one"""
