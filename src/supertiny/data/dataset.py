"""What every source gives back, and the parameters that shape it."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from supertiny.core.calls import Function
from supertiny.core.config import require
from supertiny.core.errors import UserError
from supertiny.core.records import Example
from supertiny.judge.verdicts import Judged

SPLITS = ("train", "expert", "dev", "test", "ood")
Knowledge = list[tuple[str, str]]
"""(term, explanation) pairs; the explanation of a term found in a query joins the prompt"""


@dataclass(kw_only=True, slots=True)
class Dataset:
    """A function pool, a knowledge base, and labelled examples under the five names of `SPLITS`."""

    pool: dict[str, Function]
    knowledge: Knowledge
    splits: dict[str, list[Example]]
    verdicts: list[Judged] | None = None
    """replies to expert examples that the user's experts judged; None: they are made from the expert split"""


@dataclass(kw_only=True, slots=True)
class HomeConfig:
    """Shares of the home_assistant source; each is a share of the rows of a split unless it says otherwise."""

    language: str
    """language of the grammar; the words of the home are English, so: en"""
    follow_up_share: float
    """rows whose call depends on the previous turn"""
    distractor_share: float
    """other rows that carry an unrelated earlier turn"""
    nickname_share: float
    """rows with a named device or area that call it by its nickname"""
    no_function_share: float
    """rows answered `No appropriate function`"""
    unclear_share: float
    """rows answered `Request unclear`"""
    decoration_share: float
    """rows with a please, a can you, and the like"""
    test_template_share: float
    """share of the templates of every function kept for test"""
    dev_template_share: float
    """share of the templates of every function kept for dev"""
    held_out_share: float
    """share of the home's devices that no train or expert row names"""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.language == "en", f"language: only en has a home to talk about, got {self.language!r}")
        for field in fields(self):
            if field.name != "language":
                require(0 <= getattr(self, field.name) <= 1, f"{field.name}: must lie in [0, 1]")
        used = self.follow_up_share + self.no_function_share + self.unclear_share
        require(used < 1, "follow_up_share + no_function_share + unclear_share: must be below 1")


@dataclass(kw_only=True, slots=True)
class MassiveConfig:
    """Where MASSIVE lies and which of it is out of domain."""

    path: str
    """the official <locale>.jsonl"""
    ood_scenarios: list[str]
    """scenarios whose intents are never trained on"""


@dataclass(kw_only=True, slots=True)
class OwnConfig:
    """Where the user's own files lie."""

    functions: str
    """function pool: JSON list of tools in the OpenAI schema"""
    queries: str
    """queries: JSONL of examples, with or without `answers`"""
    verdicts: str | None
    """replies that experts judged: JSONL of {"example", "reply", "correct"}; null: made from labelled queries"""
    knowledge: str | None
    """knowledge base: JSON list of {"term", "explanation"}; null: the queries bring their explanations, if any"""


@dataclass(kw_only=True, slots=True)
class DatasetConfig:
    """The `dataset` section of params.yaml."""

    source: str
    """home_assistant | massive | own"""
    num_candidates: int
    """functions offered in the prompt of a row"""
    hard_share: float
    """share of the distractors taken from the functions nearest to the reference"""
    ood_seen_share: float
    """share of the OOD split whose function is in domain (issue: .25 to .5)"""
    home_assistant: HomeConfig
    massive: MassiveConfig
    own: OwnConfig

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.num_candidates >= 1, f"num_candidates: must be at least 1, got {self.num_candidates}")
        require(0 <= self.hard_share <= 1, f"hard_share: must lie in [0, 1], got {self.hard_share}")
        require(0.25 <= self.ood_seen_share <= 0.5, f"ood_seen_share: must lie in [.25, .5], got {self.ood_seen_share}")


@dataclass(kw_only=True, slots=True)
class DatasetSizes:
    """The `dataset` section of a profile: rows wanted in each split."""

    train: int
    expert: int
    dev: int
    test: int
    ood: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        for field in fields(self):
            require(getattr(self, field.name) >= 1, f"{field.name}: must be at least 1 row")


Source = Callable[[DatasetConfig, DatasetSizes, int], Dataset]
"""(parameters, sizes, seed) -> the same dataset every time"""


def must_be_file(parameter: str, path: str | None) -> None:
    """A file that the user brings is there, or an error names the parameter; None is no file."""
    if path is not None and not Path(path).is_file():
        raise UserError(f"params.yaml: {parameter}: {path} does not exist; put the file there, or name another")
