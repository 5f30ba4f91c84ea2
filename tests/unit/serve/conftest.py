"""A site of two models that answer at once, and the service on it, over real HTTP."""

import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from supertiny.core.ask import Generation
from supertiny.core.calls import Function, Parameter, Syntax
from supertiny.core.prompt import PromptConfig
from supertiny.serve.app import application
from supertiny.serve.config import ServiceConfig
from supertiny.serve.path import Found, Site

POOL = {
    "dim": Function("dim", "Dims", {"level": Parameter("integer", "", True), "name": Parameter("string")}, "light"),
    "lock": Function("lock", "Locks"),
}


def echo(request):
    """Dims to the number that the query ends on: every answer tells whose it is."""
    level = request.prompt.own.splitlines()[-2].rsplit(" ", 1)[-1]
    return Generation(f' {{"name":"{request.candidates[0].name}","arguments":{{"level":{level}}}}}', 40, 30, 9)


def refuse(request):
    return Generation("Request unclear", 40, 30, 3)


def site(**models):
    return Site(
        pool=POOL,
        knowledge=[("the troll", "the troll: a lamp")],
        prompt=PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=1, answer=Syntax.json),
        tokens=len,
        find=lambda example: Found([("dim", 0.75), ("lock", 0.25)], None),
        among=None,
        models=models or {"echo": echo, "refuse": refuse},
    )


def limits(**changed):
    return ServiceConfig(
        **({"host": "127.0.0.1", "port": 0, "max_waiting": 256, "timeout_s": 20.0, "max_body_kb": 4} | changed)
    )


@contextmanager
def running(found, cfg):
    """The address of the service while it runs."""
    server = uvicorn.Server(uvicorn.Config(application(found, cfg), host=cfg.host, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive() and time.monotonic() < until
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{cfg.host}:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the service did not stop"


@pytest.fixture(scope="module")
def url():
    with running(site(), limits()) as address:
        yield address
