"""What keeps a service standing: so many requests at once, so long, so large; the rest is told at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastapi import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
