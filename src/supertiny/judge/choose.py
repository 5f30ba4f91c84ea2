"""The judge that params.yaml names, built only when it is asked for."""

from collections.abc import Callable, Sequence

from supertiny.core.calls import Pool
from supertiny.judge.classifier import LogProbabilities, classifier
from supertiny.judge.kinds import Judge, JudgeConfig, by_reference
from supertiny.judge.llm import LlmJudge
from supertiny.model.ask import AskChats, Chat, ChatConfig


def choose(
    cfg: JudgeConfig,
    pool: Pool,
    label: Callable[[], LogProbabilities],
    chat: Callable[[], AskChats],
    chat_cfg: ChatConfig,
) -> Judge:
    """The judge of kind `cfg.kind`; `label` opens the classifier judge, `chat` the large model, if it is the kind."""
    if cfg.kind == "classifier":
        return classifier(label(), pool, cfg.threshold)
    if cfg.kind == "reference":
        return by_reference
    ask = chat()

    def texts(chats: Sequence[Chat]) -> list[str]:
        return [found.text for found in ask(chats, chat_cfg, "judge")]

    return LlmJudge(texts, pool)
