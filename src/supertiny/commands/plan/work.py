"""What each stage computes: which model answers how many prompts, or learns from how many tokens.

An estimate from above where a count is not known before: every answer is accepted, no two training examples share
their prompt's first part, every reply is as long as the mean.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from supertiny.commands.plan.graph import Stage
from supertiny.commands.plan.hardware import TRIMMED, Requests, Sized, of_source, of_student
from supertiny.commands.plan.setting import VERDICTS_AN_EXPERT_ROW, Setting

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
    """sft | distill | logits | rl; native: in the stage's own process"""
    model: str
    tokens: float
    """all that it learns from, prompts included"""
    passes: int = 3
    section: str = ""
    """of params.yaml, which says how many packs there are in a step; empty: of as many as its GPUs want"""


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
    start = next((stage.option(one) for one in ("base", "student") if f"--{one}" in stage.words), None)
    if start is None:
        return None
    base = known[PurePosixPath(start).name]
    if stage.script == "student":
        return of_student(base, setting.students[name])
    if stage.script == "trim":
        return replace(base, shape=replace(base.shape, vocab=min(TRIMMED, base.shape.vocab)))
    if stage.script == "prune":
        cfg = setting.pruned[name.removesuffix("_cut")]
        counted = cfg.at_most / base.parameters if cfg.at_most and cfg.of == "parameters" else 1.0
        return replace(base, share=base.share * min(1.0, cfg.share or counted))
    return replace(base, bits=setting.quantized[name].bits) if stage.script == "quantize" else base


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


def _learning(setting: Setting, verb: str, model: str, section: str, examples: float, thinks: bool = False) -> Training:
    tokens = setting.known.prompt + (setting.known.thought_new if thinks else setting.known.new)
    times = setting.learning[section].epochs
    return Training(verb=verb, model=model, tokens=times * examples * tokens, section=section)


def _prototype(stage: Stage, setting: Setting) -> list[Work]:
    return [_chats(setting, setting.split("train", setting.prototype.train))]


def _prototype_results(stage: Stage, setting: Setting) -> list[Work]:
    sizes = setting.prototype
    return [_chats(setting, setting.split("test", sizes.test) + setting.split("ood", sizes.ood))]


def _prototype_bench(stage: Stage, setting: Setting) -> list[Work]:
    most = min(setting.prototype.max_clients, setting.bench_sizes.max_clients)
    return [_chats(setting, setting.rounds(most))]


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
    return replace(chats, asked=replace(chats.asked, new=setting.judged))


def _describe(stage: Stage, setting: Setting) -> list[Work]:
    sizes, model = setting.describe, _model(stage, "model")
    count = setting.split("test", sizes.test) + setting.split("ood", sizes.ood)
    asked = replace(_chats(setting, count).asked, new=setting.described)
    return [Answering(verb="chat" if model == LLM else "native", model=model, asked=asked)]


def _reject(stage: Stage, setting: Setting) -> list[Work]:
    count = setting.split("train", setting.describe.queries) * setting.describe.samples
    asked = replace(_chats(setting, count).asked, new=setting.described)
    written = Answering(verb="chat", model=LLM, asked=asked)
    return [written, _answers(setting, "generate", _model(stage, "caller"), count)]


def _describer(stage: Stage, setting: Setting) -> list[Work]:
    kept = setting.split("train", setting.describe.queries) * setting.describe.samples + setting.describe.labelled
    return [_learning(setting, "native", _model(stage, "base"), "describer", kept)]


def _sft(stage: Stage, setting: Setting) -> list[Work]:
    return [_learning(setting, "sft", _model(stage, "base"), stage.option("section"), setting.examples)]


def _thinker(stage: Stage, setting: Setting) -> list[Work]:
    some = setting.thoughts.rule if stage.option("traces").endswith("rule.jsonl") else setting.thoughts.model
    examples = min(some or setting.examples, setting.examples)
    return [_learning(setting, "sft", _model(stage, "base"), "thinking", examples, thinks=True)]


def _logits(stage: Stage, setting: Setting) -> list[Work]:
    tokens = setting.examples * (setting.known.prompt + setting.known.new)
    return [Training(verb="logits", model=_model(stage, "teacher"), tokens=tokens, passes=1)]


def _distill(stage: Stage, setting: Setting) -> list[Work]:
    return [_learning(setting, "distill", _model(stage, "student"), stage.option("section"), setting.examples)]


def _correct(stage: Stage, setting: Setting) -> list[Work]:
    return [Training(verb="sft", model=_model(stage, "base"), tokens=_general(setting), section="general")]


def _recover(stage: Stage, setting: Setting) -> list[Work]:
    """In this process, whatever the engine: the student learns while its teacher is asked."""
    student, teacher = _model(stage, "student"), _model(stage, "teacher")
    asked = Training(verb="native", model=teacher, tokens=_general(setting), passes=1)
    return [Training(verb="native", model=student, tokens=_general(setting), section="general"), asked]


def _general(setting: Setting) -> float:
    return (setting.general.examples or GENERAL_ROWS) * GENERAL_TOKENS * setting.learning["general"].epochs


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
    sizes = getattr(setting.evaluate, stage.option("asked"))
    count = setting.split("test", sizes.test) + setting.split("ood", sizes.ood)
    thinks = stage.option("asked") == "policies"
    return [_answers(setting, "generate", _model(stage, "model"), count, thinks)]


def _bench(stage: Stage, setting: Setting) -> list[Work]:
    return [_answers(setting, "serve", _model(stage, "model"), setting.rounds(setting.bench_sizes.max_clients))]


WORK: dict[str, Callable[[Stage, Setting], list[Work]]] = {
    "prototype": _prototype,
    "prototype_results": _prototype_results,
    "prototype_bench": _prototype_bench,
    "ablation": _ablation,
    "judge": _judge,
    "rft": _rft,
    "describe": _describe,
    "reject": _reject,
    "describer": _describer,
    "sft": _sft,
    "thinker": _thinker,
    "logits": _logits,
    "distill": _distill,
    "correct": _correct,
    "recover": _recover,
    "rl": _rl,
    "traces": _traces,
    "evaluate": _evaluate,
    "bench": _bench,
}
"""scripts under stages/ whose work is worth a GPU"""
