"""How judges are chosen here."""

from supertiny.core.ask import ChatConfig
from supertiny.model.config import FitConfig, LabellingConfig
from supertiny.prototype.config import JudgeConfig

FIT = FitConfig(learning_rate=1e-3, warmup_share=0.1, schedule="linear", weight_decay=0.0, max_grad_norm=1.0)


def judging(**changes) -> JudgeConfig:
    """Section `judge`, a short one."""
    values = {"min_agreement": 0.93, "max_flipped": 0.0, "threshold": 0.5}
    chat = ChatConfig(temperature=0.0, max_new_tokens=9)
    classifier = LabellingConfig(epochs=1, texts_a_step=2, dev_points=1, fit=FIT)
    return JudgeConfig(**values | {"chat": chat, "classifier": classifier} | changes)
