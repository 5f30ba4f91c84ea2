"""What each stage computes: which model answers how many prompts, or learns from how many tokens.

An estimate from above where a count is not known before: every answer is accepted, no two training examples share
their prompt's first part, every reply is as long as the mean.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from supertiny.commands.plan.graph import Stage
from supertiny.commands.plan.hardware import GpusConfig, Requests, Sized, of_source, shrunk
from supertiny.compress.config import QuantizationConfig, QuantizedConfig, ShrinkConfig
from supertiny.core.ask import ChatMachine, GenerateMachine
from supertiny.core.config import PARAMS, Engines, load, load_each, load_over, load_profile, read_yaml
from supertiny.core.errors import UserError
from supertiny.data.dataset import DatasetConfig, DatasetSizes
from supertiny.engines.megatron.config import MegatronConfig
from supertiny.engines.openrlhf.arguments import OpenrlhfConfig
from supertiny.engines.servers.launch import LaunchConfig, ServersConfig
from supertiny.measure.evaluate import EvaluateSizes
from supertiny.measure.load import BenchConfig, BenchSizes
from supertiny.measure.systems import SystemConfig
from supertiny.model.config import ModelsConfig, TrainingConfig, TrainMachine
from supertiny.model.trained import TABLES, training
from supertiny.prototype.config import ChangeConfig, JudgeConfig, JudgeSizes, PrototypeSizes, RftSizes
from supertiny.report.rows import read_curve
from supertiny.retrieval.config import DescribeConfig, DescriberConfig, DescribeSizes
from supertiny.rl.config import RlConfig, RlMachine, ThoughtSizes
from supertiny.sft.general import GENERAL
from supertiny.sft.groups import GeneralSizes, PackConfig, SftSizes

SYSTEMS, STEPS = METRICS = Path("metrics/systems.csv"), Path("metrics/steps.csv")
"""every figure of each system, and of each step"""
DESCRIBER = "describer"
"""the model that writes descriptions, and the section of params.yaml that says how it is trained"""
VERDICTS_AN_EXPERT_ROW = 924 / 400
"""judged replies of the half that judges are measured on (metrics/steps.csv: judge, reference.n, at 400 expert rows)"""


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


def measured() -> Measured:
    """From the metrics that are committed; without a policy there, a reply that thinks is as long as it may be."""
    systems = {row["system"]: row for row in read_curve(SYSTEMS)}
    steps = {(row["step"], row["figure"]): row["value"] for row in read_curve(STEPS)}
    try:
        return Measured(
            full_prompt=float(systems["prototype"]["prompt_tokens"]),
            full_uncached=float(systems["prototype"]["uncached_tokens"]),
            full_new=float(systems["prototype"]["new_tokens"]),
            prompt=float(systems["sft"]["prompt_tokens"]),
            new=float(systems["sft"]["new_tokens"]),
            thought_new=float(steps.get(("rl", "thinking.tokens"), load("rl", RlConfig).max_new_tokens)),
            logits_bytes=float(steps["logits", "bytes_per_token"]),
        )
    except KeyError as error:
        raise UserError(f"metrics: there is no {error}, which a plan needs; make it with `dvc repro`") from None


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
    other_domains: float
    """groups of them for each group of the domain, where answers are learned"""
    rl: RlConfig
    rollouts: RlMachine
    learning: dict[str, TrainingConfig | DescriberConfig]
    """how each language model is trained that is trained in epochs"""
    described: int
    """tokens of a description, at most"""
    variants: int
    """of the prototype, in the ablation"""
    systems: dict[str, SystemConfig]
    shrunk: dict[str, ShrinkConfig]
    quantized: dict[str, QuantizedConfig]
    quantization: QuantizationConfig
    known: Measured

    @property
    def examples(self) -> int:
        """Training examples at most: the pool's queries whose answers are accepted, and labelled ones."""
        answered = self.prototype.train or self.dataset.train
        most = min(self.dataset.train, answered + self.rft.labelled)
        return min(self.sft.examples or most, most)

    @property
    def answered(self) -> float:
        """Training examples whose answers are learned: those of other domains too."""
        return self.examples * (1 + self.other_domains)

    def split(self, name: str, wanted: int) -> int:
        """Rows of a split that are asked; 0: all."""
        there = int(getattr(self.dataset, name))
        return min(wanted or there, there)

    def rounds(self, kind: str) -> int:
        """Requests of a load test of such a system: every round's, warm-up too."""
        sizes, most = self.bench_sizes, self.bench_sizes.max_clients[kind]
        return sizes.warmup + sum(max(sizes.requests, 2 * one) for one in self.bench.clients if one <= most)


def read_setting(folder: Path) -> Setting:
    """From params.yaml and the profile of the current folder, for the project in `folder`."""
    return Setting(
        folder=folder,
        models=load_profile("base", ModelsConfig),
        engines=load_profile("engines", Engines),
        launch=load_profile("launch", LaunchConfig),
        servers=load_profile("servers", ServersConfig),
        openrlhf=load_profile("openrlhf", OpenrlhfConfig),
        megatron=load_profile("megatron", MegatronConfig),
        gpus=load_profile("gpus", GpusConfig),
        train=load_profile("train", TrainMachine),
        chat=load_profile("chat", ChatMachine),
        generate=load_profile("generate", GenerateMachine),
        dataset=load_profile("sizes.dataset", DatasetSizes),
        prototype=load_profile("sizes.prototype", PrototypeSizes),
        judge=load("judge", JudgeConfig),
        judge_sizes=load_profile("sizes.judge", JudgeSizes),
        rft=load_profile("sizes.rft", RftSizes),
        evaluate=load_profile("sizes.evaluate", EvaluateSizes),
        bench=load("bench", BenchConfig),
        bench_sizes=load_profile("sizes.bench", BenchSizes),
        describe=load_profile("sizes.describe", DescribeSizes),
        thoughts=load_profile("sizes.thoughts", ThoughtSizes),
        sft=load_profile("sizes.sft", SftSizes),
        general=load_profile("sizes.general", GeneralSizes),
        other_domains=0.0 if load("dataset", DatasetConfig).general == "none" else load("pack", PackConfig).general,
        rl=load("rl", RlConfig),
        rollouts=load_profile("rollouts", RlMachine),
        learning=_learning_of(),
        described=load("describe", DescribeConfig).chat.max_new_tokens,
        variants=1 + len(load_each("ablation", ChangeConfig, empty=True)),
        systems=load_each("systems", SystemConfig),
        shrunk=_shrunk(),
        quantized=load_each("trained.quantize", QuantizedConfig, empty=True),
        quantization=load("quantization", QuantizationConfig),
        known=measured(),
    )


def _shrunk() -> dict[str, ShrinkConfig]:
    """How each model that is made smaller is."""
    names = read_yaml(PARAMS)["trained"]["shrink"] or {}
    return {name: load_over(("shrink", f"trained.shrink.{name}"), ShrinkConfig) for name in names}


def _learning_of() -> dict[str, TrainingConfig | DescriberConfig]:
    """How each model that is fine-tuned is, by its name."""
    trained = read_yaml(PARAMS)["trained"]
    ways: dict[str, TrainingConfig | DescriberConfig] = {DESCRIBER: load(DESCRIBER, DescriberConfig)}
    return ways | {name: training(table, name) for table in TABLES for name in trained[table] or {}}


LLM = "llm"
GENERAL_ROWS, GENERAL_TOKENS = 320, 200
"""of data/general/instructions.jsonl, and of one of its rows at most: it has 200 bytes"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """A model answers."""

    verb: str
    """chat | generate | serve"""
    model: str
    asked: Requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A model learns, or only reads (`passes` 1)."""

    verb: str
    """train | logits | rl; native: in the stage's own process"""
    model: str
    tokens: float
    """all that it learns from, prompts included"""
    passes: int = 3
    how: str = ""
    """entry of the setting's `learning`, which says how many packs a step has; empty: as many as its GPUs want"""


Work = Answering | Training


def work(stage: Stage, setting: Setting) -> list[Work]:
    """Of one stage; empty: nothing that a GPU is worth."""
    found = WORK.get(stage.script)
    return found(stage, setting) if found else []


def models(stages: list[Stage], setting: Setting) -> dict[str, Sized]:
    """Every language model of the graph by its name under data/models, as the stage that makes it will."""
    found: dict[str, Sized] = {}
    for stage in stages:
        for out in map(PurePosixPath, stage.outs):
            if out.parent == PurePosixPath("data/models") and not out.suffix:
                made = _made(stage, out.name, found, setting)
                found |= {out.name: made} if made else {}
    return found


def _made(stage: Stage, name: str, known: Mapping[str, Sized], setting: Setting) -> Sized | None:
    if stage.script == "base":
        return None if name == "encoder" else of_source(setting.models.source(name), setting.folder)
    if "--base" not in stage.words:
        return None
    base = known[_model(stage, "base")]
    if stage.script == "shrink":
        return shrunk(base, setting.shrunk[name])
    return replace(base, bits=setting.quantized[name].bits) if stage.script == "quantize" else base


def kind_of(stage: Stage, setting: Setting) -> str:
    """Of the system that a stage asks."""
    return setting.systems[stage.option("name")].kind


def _model(stage: Stage, option: str) -> str:
    return PurePosixPath(stage.option(option)).name


def _chats(setting: Setting, count: int) -> Answering:
    known = setting.known
    asked = Requests(count=count, prompt=known.full_prompt, uncached=known.full_uncached, new=known.full_new)
    return Answering(verb="chat", model=LLM, asked=asked)


def _answers(setting: Setting, verb: str, model: str, count: int, thinks: bool = False) -> Answering:
    known = setting.known
    new = known.thought_new if thinks else known.new
    return Answering(
        verb=verb, model=model, asked=Requests(count=count, prompt=known.prompt, uncached=known.prompt, new=new)
    )


def _learning(setting: Setting, verb: str, model: str, how: str, examples: float, thinks: bool = False) -> Training:
    tokens = setting.known.prompt + (setting.known.thought_new if thinks else setting.known.new)
    return Training(verb=verb, model=model, tokens=setting.learning[how].epochs * examples * tokens, how=how)


def _prototype(stage: Stage, setting: Setting) -> list[Work]:
    return [_chats(setting, setting.split("train", setting.prototype.train))]


def _ablation(stage: Stage, setting: Setting) -> list[Work]:
    return [_chats(setting, setting.variants * setting.split("dev", setting.prototype.ablation))]


def _judge(stage: Stage, setting: Setting) -> list[Work]:
    if "llm" not in setting.judge.calibrate:
        return []
    every = round(VERDICTS_AN_EXPERT_ROW * setting.dataset.expert)
    return [_verdicts(setting, setting.judge_sizes.llm_examples or every)]


def _rft(stage: Stage, setting: Setting) -> list[Work]:
    if setting.judge.kind != "llm":
        return []
    return [_verdicts(setting, setting.split("train", setting.prototype.train))]


def _verdicts(setting: Setting, count: int) -> Answering:
    chats = _chats(setting, count)
    return replace(chats, asked=replace(chats.asked, new=setting.judge.chat.max_new_tokens))


def _retrieval(stage: Stage, setting: Setting) -> list[Work]:
    """The large model describes the queries, then the model that was trained to."""
    sizes = setting.describe
    count = setting.split("test", sizes.test) + setting.split("ood", sizes.ood)
    asked = replace(_chats(setting, count).asked, new=setting.described)
    return [Answering(verb=verb, model=model, asked=asked) for verb, model in (("chat", LLM), ("native", DESCRIBER))]


def _reject(stage: Stage, setting: Setting) -> list[Work]:
    count = setting.split("train", setting.describe.queries) * setting.describe.samples
    asked = replace(_chats(setting, count).asked, new=setting.described)
    written = Answering(verb="chat", model=LLM, asked=asked)
    return [written, _answers(setting, "generate", _model(stage, "caller"), count)]


def _describer(stage: Stage, setting: Setting) -> list[Work]:
    kept = setting.split("train", setting.describe.queries) * setting.describe.samples + setting.describe.labelled
    return [_learning(setting, "native", _model(stage, "base"), DESCRIBER, kept)]


def _sft(stage: Stage, setting: Setting) -> list[Work]:
    name, base = stage.option("name"), _model(stage, "base")
    if PurePosixPath(stage.option("rows")).name == GENERAL:
        return [Training(verb="train", model=base, tokens=_general(setting, name), how=name)]
    return [_learning(setting, "train", base, name, setting.answered)]


def _thinker(stage: Stage, setting: Setting) -> list[Work]:
    rule_made = PurePosixPath(stage.option("thoughts")).parent.name == "rft"
    some = setting.thoughts.rule if rule_made else setting.thoughts.model
    examples = min(some or setting.examples, setting.examples)
    return [_learning(setting, "train", _model(stage, "base"), stage.option("name"), examples, thinks=True)]


def _logits(stage: Stage, setting: Setting) -> list[Work]:
    tokens = setting.answered * (setting.known.prompt + setting.known.new)
    return [Training(verb="logits", model=_model(stage, "teacher"), tokens=tokens, passes=1)]


def _distill(stage: Stage, setting: Setting) -> list[Work]:
    return [_learning(setting, "train", _model(stage, "base"), stage.option("name"), setting.answered)]


def _recover(stage: Stage, setting: Setting) -> list[Work]:
    """In this process, whatever the engine: the student learns while its teacher is asked."""
    name, student, teacher = stage.option("name"), _model(stage, "base"), _model(stage, "teacher")
    tokens = _general(setting, name)
    asked = Training(verb="native", model=teacher, tokens=tokens, passes=1)
    return [Training(verb="native", model=student, tokens=tokens, how=name), asked]


def _general(setting: Setting, how: str) -> float:
    return (setting.general.examples or GENERAL_ROWS) * GENERAL_TOKENS * setting.learning[how].epochs


def _rl(stage: Stage, setting: Setting) -> list[Work]:
    """Replies, the reference's and the policy's own log-probabilities of them, then `epochs` passes of learning."""
    cfg, model = setting.rl, _model(stage, "base")
    replies = cfg.batches * cfg.prompts_a_batch * cfg.rollouts
    written = _answers(setting, "rl", model, replies, thinks=True)
    shared = setting.known.prompt / cfg.rollouts  # a prompt is read once for all of its replies
    written = replace(written, asked=replace(written.asked, uncached=shared))
    tokens = replies * (setting.known.prompt + setting.known.thought_new)
    return [written, Training(verb="rl", model=model, tokens=tokens, passes=2 + 3 * cfg.epochs)]


def _traces(stage: Stage, setting: Setting) -> list[Work]:
    count = min(setting.thoughts.model or setting.examples, setting.examples)
    return [_answers(setting, "generate", _model(stage, "policy"), count, thinks=True)]


def _evaluate(stage: Stage, setting: Setting) -> list[Work]:
    asked, model = setting.systems[stage.option("name")].asked, _model(stage, "model")
    sizes = getattr(setting.evaluate, asked)
    count = setting.split("test", sizes.test) + setting.split("ood", sizes.ood)
    match kind_of(stage, setting):
        case "prototype":
            return [_chats(setting, count)]
        case "model":
            return [_answers(setting, "generate", model, count, thinks=asked == "policies")]
    return []


def _bench(stage: Stage, setting: Setting) -> list[Work]:
    match kind_of(stage, setting):
        case "prototype" as kind:
            return [_chats(setting, setting.rounds(kind))]
        case "model" as kind:
            return [_answers(setting, "serve", _model(stage, "model"), setting.rounds(kind))]
    return []


WORK: dict[str, Callable[[Stage, Setting], list[Work]]] = {
    "prototype": _prototype,
    "ablation": _ablation,
    "judge": _judge,
    "rft": _rft,
    "retrieval": _retrieval,
    "reject": _reject,
    "describer": _describer,
    "sft": _sft,
    "thinker": _thinker,
    "logits": _logits,
    "distill": _distill,
    "recover": _recover,
    "rl": _rl,
    "traces": _traces,
    "evaluate": _evaluate,
    "bench": _bench,
}
"""scripts under stages/ whose work is worth a GPU"""
