"""The HTTP application: our route, the OpenAI protocol's, health, metrics, and the page."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as StarletteHTTPException

from supertiny.core.errors import UserError
from supertiny.serve.config import ServiceConfig
from supertiny.serve.gauges import Gauges
from supertiny.serve.limits import BodyLimit, Door, error_body
from supertiny.serve.site import Served, Site, serve
from supertiny.serve.wire import ChatCompletion, Query, answer_body, chat_of, completion_body, example_of


def application(site: Site, cfg: ServiceConfig) -> FastAPI:
    """The service of `site`; its schema is at /openapi.json."""
    door, gauges = Door(cfg.max_waiting, cfg.timeout_s), Gauges()
    gauges.inside.set_function(lambda: door.inside)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        door.close()

    app = FastAPI(title="supertiny", lifespan=lifespan, docs_url=None, redoc_url=None)  # the docs pages need a CDN
    app.add_middleware(BodyLimit, max_bytes=1024 * cfg.max_body_kb)
    app.include_router(_answers(site, door, gauges))
    app.include_router(_about(site, gauges))
    _tell_errors(app)

    @app.middleware("http")
    async def count(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await go_on(request)
        route = getattr(request.scope.get("route"), "path", "other")
        gauges.requests.labels(route, response.status_code).inc()
        return response

    return app


def _answers(site: Site, door: Door, gauges: Gauges) -> APIRouter:
    """Who asks a model."""
    router = APIRouter()

    async def answer(model: str, work: Callable[[], Served]) -> tuple[Served, float]:
        started = time.perf_counter()
        served = await door.run(work)
        seconds = time.perf_counter() - started
        steps = served.seconds | {"all": seconds}
        gauges.answered(model, steps, served.generation.prompt_tokens, served.generation.new_tokens)
        return served, seconds

    @router.post("/v1/answers")
    async def answers(asked: Query) -> dict[str, Any]:
        """The call for a query, and every step that led to it."""
        model, example = _known(site, asked.model), example_of(asked, site.pool)
        served, seconds = await answer(model, lambda: serve(site, model, example))
        return answer_body(served, model, seconds)

    @router.post("/v1/chat/completions")
    async def chat_completions(asked: ChatCompletion) -> dict[str, Any]:
        """The same in the OpenAI protocol; `tools` are the candidates, without them the pool is searched."""
        if asked.stream:
            raise HTTPException(400, "stream: an answer is one call, which comes whole; set it to false")
        model, (example, tools) = _known(site, asked.model), chat_of(asked, site.pool)
        served, _ = await answer(model, lambda: serve(site, model, example, tools))
        return completion_body(served, model)

    return router


def _about(site: Site, gauges: Gauges) -> APIRouter:
    """What the service says of itself."""
    router = APIRouter()

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """Who can be asked; the first is the default."""
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in site.models]}

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """That the service is up: its models are loaded before it listens."""
        return {"status": "ok"}

    @router.get("/metrics")
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(gauges.text(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> str:
        return files("supertiny.serve").joinpath("page.html").read_text(encoding="utf-8")

    return router


def _known(site: Site, model: str | None) -> str:
    if model is not None and model not in site.models:
        raise HTTPException(404, f"model: there is no {model!r}, only {', '.join(site.models)}")
    return model or next(iter(site.models))


def _tell_errors(app: FastAPI) -> None:
    """Every error in one shape; of what is wrong with a request, the field and why."""

    def told(message: str, status: int, headers: Any = None) -> JSONResponse:
        return JSONResponse(error_body(message, status), status, headers)

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return told(str(error.detail), error.status_code, error.headers)

    @app.exception_handler(UserError)
    async def wrong(_: Request, error: UserError) -> JSONResponse:
        return told(str(error), 400)

    @app.exception_handler(RequestValidationError)
    async def ill_formed(_: Request, error: RequestValidationError) -> JSONResponse:
        found = [f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in error.errors()]
        return told("; ".join(found), 400)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        return told(f"the model could not answer: {type(error).__name__}", 500)
