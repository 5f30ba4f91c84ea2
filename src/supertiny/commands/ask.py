"""The retriever that a name stands for, with all that writes its descriptions."""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.calls import Pool
from supertiny.core.config import Engines, load, load_profile, seed
from supertiny.core.errors import UserError
from supertiny.retrieval.describe import DescribeConfig, describer
from supertiny.retrieval.recall import RetrievalConfig
from supertiny.retrieval.retrievers import Describe, Retriever, retriever


def named_retriever(by: str, models: Path, expert: Path, pool: Pool) -> Retriever:
    """`by`: classifier, embedding (of the dialogue), described or optimized (by an API description)."""

    def writer(model: Path) -> Describe:
        # the trained describer is a model of this project, which no server of the profile holds
        engine = "native" if by == "optimized" else load_profile("engines", Engines).chat
        ask = engines.get(engine, "chat")(model, load_profile("chat", ChatMachine))
        return describer(expert, pool, ask, load("describe", DescribeConfig), seed()).describe

    return retriever(by, models, pool, load("retrieval", RetrievalConfig).detail, writer)


HOME, DATA = Path("data/models"), Path("data/dataset")


def model_folder(home: Path, name: str, option: str) -> Path:
    """The folder of model `name`; `option` is what named it."""
    folder = home / name
    if not (folder / "config.json").is_file():
        raise UserError(f"{option}: there is no model in {folder}; make it with `dvc repro`")
    return folder
