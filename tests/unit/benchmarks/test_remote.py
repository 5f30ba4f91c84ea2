"""The load test over real HTTP: our service, a server of the bare model, and servers that fail."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.remote import Endpoint, chat, complete
from supertiny.core.ask import Generation
from supertiny.core.calls import Call, Refusal, Syntax
from supertiny.core.errors import UserError
from supertiny.core.records import Example, Turn
from supertiny.measure.load import closed_loop
from tests.unit.serve.conftest import POOL, echo, limits, running, site


def dim(level, **known):
    return Example(id=str(level), query=f"dim to {level}", candidates=("dim", "lock"), **known)


def test_every_client_gets_its_own_answer_from_the_service():
    with running(site(), limits()) as url:
        server = Endpoint(f"{url}/v1", 30)
        assert server.models() == ["echo", "refuse"]
        examples = [dim(level) for level in range(60)]

        def same(example, found):
            return found.text == f'{{"name":"dim","arguments":{{"level":{example.id}}}}}'

        found = closed_loop(
            lambda one: chat(server, "echo", one, POOL, Syntax.json), examples, same, clients=16, count=180
        )
        assert (found["requests"], found["errors"], found["differing"]) == (180, 0, 0)
        assert found["tokens_per_s"] == pytest.approx(9 * found["qps"], rel=0.01)
        assert chat(server, "refuse", dim(1), POOL, Syntax.json) == Generation("Request unclear", 40, 40, 3)
        assert chat(server, "echo", dim(7), POOL, Syntax.python).text == "dim(level=7)", "as its model would write it"


def test_the_service_is_told_all_that_an_example_says():
    """The prompt that it makes of the chat is the one that the example itself makes, but for knowledge, its own."""
    seen = []

    def keep(request):
        seen.append(request)
        return echo(request)

    turns = (
        Turn("dim to 4", Call("dim", {"level": 4, "name": "héllo"})),
        Turn("what?", Refusal.UNCLEAR),
        Turn("lock it", Call("lock", {})),
    )
    with running(site(keep=keep), limits()) as url:
        server = Endpoint(f"{url}/v1", 30)
        for known in (
            {},
            {"context": {"room": "hall"}},
            {"history": turns[:1]},
            {"history": turns[:2]},
            {"history": turns},
        ):
            chat(server, "keep", dim(5, **known), POOL, Syntax.json)
    texts = [one.prompt.own for one in seen]
    assert [[function.name for function in one.candidates] for one in seen] == [["dim", "lock"]] * 5
    assert texts[0] == "Query: dim to 5\nAnswer:" and texts[1] == f"room: hall\n{texts[0]}"
    assert (
        texts[2] == f'Earlier: dim to 4\nAnswer: {{"name":"dim","arguments":{{"level":4,"name":"héllo"}}}}\n{texts[0]}'
    )
    assert texts[3] == f"Earlier: what?\nAnswer: Request unclear\n{texts[0]}"
    assert texts[4] == f'Earlier: lock it\nAnswer: {{"name":"lock","arguments":{{}}}}\n{texts[0]}'


@contextmanager
def stub(answer, models=()):
    """A server of `models` that gives `answer(path, body, headers)` = (status, JSON), and the connections it saw."""
    connections = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            connections.append(self)

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, said = answer(self.path, body, self.headers)
            if status is None:
                self.close_connection = True  # hangs up without a word
                return
            self.reply(status, said)

        def do_GET(self):
            self.reply(200, {"data": [{"id": name} for name in models]})

        def reply(self, status, said):
            said = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        host, port = server.server_address[:2]
        yield f"http://{host}:{port}/v1/", connections
    finally:
        server.shutdown()
        server.server_close()


def completion(text, **usage):
    return 200, {"choices": [{"text": text}], "usage": {"prompt_tokens": 3, "completion_tokens": 2} | usage}


def test_a_bare_server_is_sent_token_ids_and_asked_for_the_likeliest():
    asked = []

    def answer(path, body, headers):
        asked.append((path, body, headers["Authorization"]))
        return completion(" yes", prompt_tokens_details={"cached_tokens": 2} if len(asked) > 1 else None)

    with stub(answer) as (url, connections):
        server = Endpoint(url, 30, key="secret")
        assert complete(server, "tiny", [5, 6, 7], 4) == Generation(" yes", 3, 3, 2)
        assert complete(server, "tiny", [5, 6, 7], 4) == Generation(" yes", 3, 1, 2)
        body = {"model": "tiny", "prompt": [5, 6, 7], "max_tokens": 4, "temperature": 0}
        assert asked == [("/v1/completions", body, "Bearer secret")] * 2
        assert len(connections) == 1, "a thread keeps its connection"


def test_what_a_server_cannot_do_is_an_error_of_that_request_alone():
    """Of every four: an answer, a full house, a connection that breaks, an answer that is none."""
    number = iter(range(40))

    def answer(path, body, headers):
        kinds = [completion("a"), (429, {"error": "busy"}), (None, None), (200, {"choices": []})]
        return kinds[next(number) % 4]

    with stub(answer) as (url, _):
        server = Endpoint(url, 30)
        found = closed_loop(lambda one: complete(server, "m", one, 1), [[1]], lambda *_: True, clients=1, count=12)
        assert (found["requests"], found["errors"]) == (12, 9)
    assert found["p50_ms"] is not None


def test_a_refusal_says_what_the_server_said():
    refused = pytest.raises(UserError, match=r"completions: HTTP 400: .*no such model")
    with stub(lambda *_: (400, {"error": {"message": "no such model"}})) as (url, _), refused:
        complete(Endpoint(url, 30), "m", [1], 1)


@pytest.mark.parametrize("url", ["gpu1:30000/v1", "ftp://gpu1/v1", "http://", ""])
def test_an_address_that_is_none_is_named(url):
    with pytest.raises(UserError, match="--url: expected an address such as"):
        Endpoint(url, 1)
