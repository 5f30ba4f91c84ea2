"""The HTTP application: our route, the OpenAI protocol's, health, metrics, and the page."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from supertiny.core.errors import UserError
from supertiny.serve.config import ServiceConfig
from supertiny.serve.path import Served, Site, serve
from supertiny.serve.wire import ChatCompletion, Query, answer_body, chat_of, completion_body, example_of

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""seconds"""


class Gauges:
    """The metrics of one service."""

    def __init__(self) -> None:
        self._registry = kept = CollectorRegistry()
        self.requests = Counter("supertiny_requests", "Requests, by HTTP status", ["route", "status"], registry=kept)
        self.tokens = Counter("supertiny_tokens", "Tokens read and written", ["model", "kind"], registry=kept)
        self.inside = Gauge("supertiny_requests_in_progress", "Requests answered or waiting for it", registry=kept)
        self.seconds = Histogram(
            "supertiny_step_seconds", "Time of each step", ["model", "step"], buckets=BUCKETS, registry=kept
        )

    def answered(self, model: str, seconds: Mapping[str, float], prompt_tokens: int, new_tokens: int) -> None:
        """Count one answer."""
        for step, taken in seconds.items():
            self.seconds.labels(model, step).observe(taken)
        self.tokens.labels(model, "prompt").inc(prompt_tokens)
        self.tokens.labels(model, "new").inc(new_tokens)

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self._registry)


T = TypeVar("T")


class Door:
    """Lets at most `limit` pieces of work in; each has `timeout_s` to be done, and keeps its place until it is."""

    def __init__(self, limit: int, timeout_s: float) -> None:
        self.limit, self.timeout_s, self.inside = limit, timeout_s, 0
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix="request")

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives in a thread of its own; 429 where the house is full, 504 where it takes too long."""
        if self.inside >= self.limit:
            raise HTTPException(
                429, f"{self.limit} requests are being answered; ask again in a second", headers={"Retry-After": "1"}
            )
        self.inside += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._leave)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.timeout_s)
        except TimeoutError:
            raise HTTPException(504, f"no answer within {self.timeout_s:g} seconds") from None

    def close(self) -> None:
        """Wait for what is inside."""
        self._threads.shutdown()

    def _leave(self, future: "asyncio.Future[Any]") -> None:
        self.inside -= 1
        if not future.cancelled():
            future.exception()  # it was told to whoever still waited


class BodyLimit:
    """ASGI middleware: a request body of more than `max_bytes` is refused with 413, whether it says so or not."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        declared = dict(scope.get("headers") or []).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self.max_bytes:
            await JSONResponse(error_body(self._refusal(), 413), 413)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.max_bytes:
                raise HTTPException(413, self._refusal())
            return message

        await self.app(scope, counted, send)

    def _refusal(self) -> str:
        return f"the request's body has more than {self.max_bytes} bytes"


def error_body(message: str, status: int) -> dict[str, Any]:
    """An error as the OpenAI protocol has it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "code": status}}


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
