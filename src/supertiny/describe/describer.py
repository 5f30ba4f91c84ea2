"""A language model that describes the APIs that queries need."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supertiny.core.calls import Pool
from supertiny.core.records import Example, read_examples
from supertiny.describe.config import DescribeConfig
from supertiny.describe.prompt import cleaned, description_chat, examples_to_show
from supertiny.model.ask import AskChats, Chat, ChatConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Describer:
    """The model with the in-context examples it is shown."""

    pool: Pool
    shown: Sequence[Example]
    ask: AskChats
    cfg: DescribeConfig

    def describe(self, examples: Sequence[Example]) -> list[str]:
        """One description for each example; where the model says nothing, the query stands for itself."""
        chats = [description_chat(example, self.shown, self.pool) for example in examples]
        said = self._lines(chats, self.cfg.chat, "describe")
        return [line or example.query for line, example in zip(said, examples, strict=True)]

    def sample(self, examples: Sequence[Example], samples: int, cfg: ChatConfig) -> list[list[str]]:
        """`samples` descriptions for each example, some of them equal or empty."""
        chats = [description_chat(one, self.shown, self.pool, n) for one in examples for n in range(samples)]
        said = self._lines(chats, cfg, "sample descriptions")
        return [said[start : start + samples] for start in range(0, len(said), samples)]

    def _lines(self, chats: Sequence[Chat], cfg: ChatConfig, progress: str) -> list[str]:
        return [cleaned(found.text, self.cfg.max_chars) for found in self.ask(chats, cfg, progress)]


def describer(expert: Path, pool: Pool, ask: AskChats, cfg: DescribeConfig, seed: int) -> Describer:
    """The describer with in-context examples out of file `expert`."""
    shown = examples_to_show(read_examples(expert, pool), pool, cfg.num_examples, seed)
    return Describer(pool=pool, shown=shown, ask=ask, cfg=cfg)
