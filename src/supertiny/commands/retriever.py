"""The retriever that a name stands for, with all that writes its descriptions."""

from pathlib import Path

from supertiny import engines
from supertiny.core.calls import Pool
from supertiny.core.config import load, load_profile, seed
from supertiny.core.machine import Engines
from supertiny.describe.config import DescribeConfig
from supertiny.describe.describer import describer
from supertiny.model.ask import ChatMachine
from supertiny.retrieve.open import retriever
from supertiny.retrieve.recall import RetrievalConfig
from supertiny.retrieve.retrievers import Describe, Retriever


def named_retriever(by: str, models: Path, expert: Path, pool: Pool) -> Retriever:
    """`by`: classifier, embedding (of the dialogue), described or optimized (by an API description)."""

    def writer(model: Path) -> Describe:
        # the trained describer is a model of this project, which no server of the profile holds
        engine = "native" if by == "optimized" else load_profile("engines", Engines).chat
        ask = engines.get(engine, "chat")(model, load_profile("chat", ChatMachine))
        return describer(expert, pool, ask, load("describe", DescribeConfig), seed()).describe

    return retriever(by, models, pool, load("retrieval", RetrievalConfig).detail, writer)
