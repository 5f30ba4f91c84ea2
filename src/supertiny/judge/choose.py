"""The judge that params.yaml names, built only when it is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from supertiny.core.calls import Pool
from supertiny.judge.classifier import classifier
from supertiny.judge.kinds import Judge, JudgeConfig, by_reference
from supertiny.judge.llm import LlmJudge
from supertiny.model.ask import Chat, ChatConfig, Generation
from supertiny.model.heads import load_headed
from supertiny.model.labelling import label_log_probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeParts:
    """What the kinds of judge are made of."""

    pool: Pool
    model: Path
    """folder of the classifier judge"""
    chat: Callable[[Sequence[Chat], ChatConfig, str], list[Generation]]
    chat_cfg: ChatConfig


def choose(cfg: JudgeConfig, parts: JudgeParts) -> Judge:
    """The judge of kind `cfg.kind`."""

    def ask(chats: Sequence[Chat]) -> list[str]:
        return [found.text for found in parts.chat(chats, parts.chat_cfg, "judge")]

    if cfg.kind == "classifier":
        return classifier(label_log_probabilities(load_headed(parts.model)), parts.pool, cfg.threshold)
    return LlmJudge(ask, parts.pool) if cfg.kind == "llm" else by_reference
