"""Serve: the whole online path over HTTP, several models side by side (paper 4.2, Figure 2c)."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from supertiny import engines
from supertiny.commands.ask import DATA, HOME, model_folder, offers
from supertiny.core.ask import DecodeConfig, GenerateMachine, batched
from supertiny.core.calls import Pool
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example, read_functions
from supertiny.data.dataset import DatasetConfig, read_knowledge
from supertiny.retrieval.retrievers import EmbeddingRetriever, Retriever
from supertiny.serve.config import ServiceConfig
from supertiny.serve.path import Found, Site, counter, find


def main(
    models: str = "tiny_kd",
    by: str | None = None,
    engine: str | None = None,
    home: Path = HOME,
    data: Path = DATA,
) -> None:
    """Serve `models`, names under `home` with commas between them, the first by default.

    Each is offered the whole pool; `by` (as in `supertiny ask`) chooses functions of a longer one, and the kinds but
    classifier choose of tools that a request brings too, where they are more than prompt.max_pool_tokens.
    `engine` computes them, without it the profile's `engines.serve`. Address and limits are in section `service` of the
    profile; ctrl-c or SIGTERM answers what it has, then stops.
    """
    try:
        from supertiny.serve.app import application
    except ImportError as error:
        raise UserError(f"{error.name} is missing; install supertiny[serve]") from None
    cfg, machine = load_profile("service", ServiceConfig), load_profile("generate", GenerateMachine)
    names = [name.strip() for name in models.split(",") if name.strip()]
    folders = {name: model_folder(home, name, "--models") for name in names}
    if not folders:
        raise UserError("--models: expected a name at least")
    serve = engines.get(engine or load_profile("engines", Engines).serve, "serve")
    prompt, tokens = load("prompt", PromptConfig), counter(folders.values())
    pool, count = read_functions(data / "functions.json"), load("dataset", DatasetConfig).num_candidates
    retriever = offers(by, home, data / "expert.jsonl", pool, prompt, tokens)
    decode = load("decode", DecodeConfig)
    with ExitStack() as opened:
        site = Site(
            pool=pool,
            knowledge=read_knowledge(data / "knowledge.json"),
            prompt=prompt,
            tokens=tokens,
            find=opened.enter_context(batched(_chosen(retriever, count), machine.batch_size)) if retriever else None,
            among=_among(retriever, count),
            models={name: opened.enter_context(serve(folder, decode, machine)) for name, folder in folders.items()},
        )
        _run(application(site, cfg), cfg)


def _chosen(retriever: Retriever, k: int) -> Callable[[list[Example]], list[Found]]:
    """The `k` functions of the pool that each of some queries is offered."""
    return lambda examples: find(examples, retriever, k)


def _among(retriever: Retriever | None, k: int) -> Callable[[Example, Pool], Found] | None:
    """The same of tools that a request brings, which a classifier was not trained on."""
    if not isinstance(retriever, EmbeddingRetriever):
        return None
    return lambda example, tools: find([example], retriever.over(tools.values()), k)[0]


def _run(app: Any, cfg: ServiceConfig) -> None:
    """Until it is told to stop; then what is being answered is."""
    import uvicorn

    uvicorn.run(
        app,
        host=cfg.host,
        port=cfg.port,
        access_log=False,
        timeout_graceful_shutdown=int(cfg.timeout_s) + 1,
    )
