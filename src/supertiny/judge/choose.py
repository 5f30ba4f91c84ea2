"""The judge that params.yaml names, built only when it is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from supertiny.core.calls import Pool
from supertiny.judge.classifier import LogProbabilities, classifier
from supertiny.judge.kinds import Judge, JudgeConfig, by_reference
from supertiny.judge.llm import LlmJudge
from supertiny.model.ask import Chat, ChatConfig, Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeParts:
    """What the kinds of judge are made of."""

    pool: Pool
    label: Callable[[], LogProbabilities]
    """loads the classifier judge"""
    chat: Callable[[Sequence[Chat], ChatConfig, str], list[Generation]]
    chat_cfg: ChatConfig


def choose(cfg: JudgeConfig, parts: JudgeParts) -> Judge:
    """The judge of kind `cfg.kind`."""

    def ask(chats: Sequence[Chat]) -> list[str]:
        return [found.text for found in parts.chat(chats, parts.chat_cfg, "judge")]

    if cfg.kind == "classifier":
        return classifier(parts.label(), parts.pool, cfg.threshold)
    return LlmJudge(ask, parts.pool) if cfg.kind == "llm" else by_reference
