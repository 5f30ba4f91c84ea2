"""All that a plan hangs on: the parameters and the profile, checked as the stages check them, and what was measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertiny.commands.plan.hardware import GpusConfig
from supertiny.compress.quantize import QuantizationConfig, QuantizedConfig
from supertiny.compress.search import PrunedConfig
from supertiny.compress.shrink import StudentConfig
from supertiny.core.ask import ChatConfig, ChatMachine, GenerateMachine
from supertiny.core.config import Engines, load, load_each, load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.data.dataset import DatasetSizes
from supertiny.engines.megatron.layout import MegatronConfig
from supertiny.engines.openrlhf.arguments import OpenrlhfConfig
from supertiny.engines.servers.launch import LaunchConfig, ServersConfig
from supertiny.judge.reference import JudgeConfig, JudgeSizes
from supertiny.measure.evaluate import EvaluateSizes
from supertiny.measure.load import BenchConfig, BenchSizes
from supertiny.model.sources import ModelsConfig
from supertiny.model.train import TrainMachine
from supertiny.prototype.ablation import ChangeConfig
from supertiny.prototype.prototype import PrototypeSizes
from supertiny.prototype.rft import RftSizes
from supertiny.retrieval.describe import DescribeConfig, DescriberConfig, DescribeSizes
from supertiny.rl.config import RlConfig, RlMachine, ThoughtSizes
from supertiny.sft.general import GeneralSizes
from supertiny.sft.packs import SftConfig, SftSizes

METRICS = Path("metrics/summary.json")
VERDICTS_AN_EXPERT_ROW = 924 / 400
"""judged replies of the half that judges are measured on (metrics/summary.json: judge.reference.n, 400 expert rows)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Mean tokens of this project's prompts and answers, bytes of its stored logits: as the default run had them."""

    full_prompt: float
    """the large model's"""
    full_uncached: float
    full_new: float
    prompt: float
    """the small model's"""
    new: float
    thought_new: float
    """of a reply that thinks first"""
    logits_bytes: float
    """a response token takes in the store"""


def measured(path: Path = METRICS) -> Measured:
    """From the metrics that are committed."""
    found = read_json(path)
    try:
        return Measured(
            full_prompt=found["prototype"]["prompt_tokens"],
            full_uncached=found["prototype"]["uncached_tokens"],
            full_new=found["prototype"]["new_tokens"],
            prompt=found["sft"]["prompt_tokens"],
            new=found["sft"]["new_tokens"],
            thought_new=found["rl"]["thinking"]["tokens"],
            logits_bytes=found["logits"]["bytes_per_token"],
        )
    except KeyError as error:
        raise UserError(f"{path}: has no {error}, which a plan needs; make it with `dvc repro`") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The chosen profile with the parameters."""

    folder: Path
    """the project's, from which a model's may be named"""
    models: ModelsConfig
    engines: Engines
    launch: LaunchConfig
    servers: ServersConfig
    openrlhf: OpenrlhfConfig
    megatron: MegatronConfig
    gpus: GpusConfig
    train: TrainMachine
    chat: ChatMachine
    generate: GenerateMachine
    dataset: DatasetSizes
    prototype: PrototypeSizes
    judge: JudgeConfig
    judge_sizes: JudgeSizes
    rft: RftSizes
    evaluate: EvaluateSizes
    bench: BenchConfig
    bench_sizes: BenchSizes
    describe: DescribeSizes
    thoughts: ThoughtSizes
    sft: SftSizes
    general: GeneralSizes
    rl: RlConfig
    rollouts: RlMachine
    learning: dict[str, SftConfig | DescriberConfig]
    """each section of params.yaml that trains a language model in epochs"""
    judged: int
    """tokens of a verdict with its reasons, at most"""
    described: int
    """tokens of a description, at most"""
    variants: int
    """of the prototype, in the ablation"""
    students: dict[str, StudentConfig]
    pruned: dict[str, PrunedConfig]
    quantized: dict[str, QuantizedConfig]
    quantization: QuantizationConfig
    known: Measured

    @property
    def examples(self) -> int:
        """Training examples at most: the pool's queries whose answers are accepted, and labelled ones."""
        answered = self.prototype.train or self.dataset.train
        most = min(self.dataset.train, answered + self.rft.labelled)
        return min(self.sft.examples or most, most)

    def split(self, name: str, wanted: int) -> int:
        """Rows of a split that are asked; 0: all."""
        there = int(getattr(self.dataset, name))
        return min(wanted or there, there)

    def rounds(self, most: int) -> int:
        """Requests of a load test: every round's, warm-up too."""
        sizes = self.bench_sizes
        return sizes.warmup + sum(max(sizes.requests, 2 * one) for one in self.bench.clients if one <= most)


def read_setting(params: dict[str, Any], folder: Path) -> Setting:
    """From params.yaml and the profile of the current folder, for the project in `folder`; `params`: the former."""
    learning = {name: load(name, SftConfig) for name in ("sft", "teaching", "thinking", "general", "recovery")}
    return Setting(
        folder=folder,
        models=load_profile("models", ModelsConfig),
        engines=load_profile("engines", Engines),
        launch=load_profile("launch", LaunchConfig),
        servers=load_profile("servers", ServersConfig),
        openrlhf=load_profile("openrlhf", OpenrlhfConfig),
        megatron=load_profile("megatron", MegatronConfig),
        gpus=load_profile("gpus", GpusConfig),
        train=load_profile("train", TrainMachine),
        chat=load_profile("chat", ChatMachine),
        generate=load_profile("generate", GenerateMachine),
        dataset=load_profile("dataset", DatasetSizes),
        prototype=load_profile("prototype", PrototypeSizes),
        judge=load("judge", JudgeConfig),
        judge_sizes=load_profile("judge_sizes", JudgeSizes),
        rft=load_profile("rft", RftSizes),
        evaluate=load_profile("evaluate", EvaluateSizes),
        bench=load("bench", BenchConfig),
        bench_sizes=load_profile("bench", BenchSizes),
        describe=load_profile("describe", DescribeSizes),
        thoughts=load_profile("thoughts", ThoughtSizes),
        sft=load_profile("sft", SftSizes),
        general=load_profile("general", GeneralSizes),
        rl=load("rl", RlConfig),
        rollouts=load_profile("rollouts", RlMachine),
        learning={**learning, "describer": load("describer", DescriberConfig)},
        judged=load("judge_chat", ChatConfig).max_new_tokens,
        described=load("describe", DescribeConfig).chat.max_new_tokens,
        variants=1 + len(load_each("ablation", ChangeConfig, empty=True)),
        students={name: load_profile(f"student_models.{name}", StudentConfig) for name in params["students"]},
        pruned=load_each("pruned", PrunedConfig, empty=True),
        quantized=load_each("quantized", QuantizedConfig, empty=True),
        quantization=load("quantization", QuantizationConfig),
        known=measured(),
    )
