"""The endpoint engine against a scripted server: what it sends, what it gives back, and every fault by its key."""

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from supertiny.core.ask import Chat, ChatConfig, ChatMachine, DecodeConfig, GenerateMachine
from supertiny.core.errors import UserError
from supertiny.engines.servers.answer import chat, serve
from supertiny.engines.servers.client import NEXT_SEED, Server
from supertiny.measure.load import closed_loop

GREEDY = ChatConfig(temperature=0.0, max_new_tokens=8)
DECODE = DecodeConfig(constrained=True, max_new_tokens=8)
SCHEMA = json.dumps({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]})


def say(text: str, **more) -> Chat:
    return Chat((("system", "Answer."), ("user", text)), **more)


def machine(url: str | None, **more) -> ChatMachine:
    values = {"precision": "float32", "batch_size": 4, "shard": 4, "served_model": "big", "key_variable": None}
    return ChatMachine(url=url, **{**values, "retries": 2, "timeout_s": 10.0, "structured": "json_schema", **more})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


class Script:
    """What the server does with its n-th chat (from 1): `said` in `status`, after `wait_s`; everything is noted."""

    models: object = ("big", "small")
    wait_s = 0.0

    def __init__(self, said=lambda number, text: text, status=lambda number: 200, finish="stop"):
        self.said, self.status, self.finish = said, status, finish
        self.seen, self.keys = [], []

    @property
    def texts(self):
        return [body["messages"][-1]["content"] for body in self.seen]

    def completion(self, body):
        """(status, body of the response)."""
        self.seen.append(body)
        number = len(self.seen)
        time.sleep(self.wait_s)
        status = self.status(number)
        content = self.said(number, body["messages"][-1]["content"])
        if status != 200:
            return status, {"error": {"message": content}}
        message = {"role": "assistant", "content": content}
        return 200, {
            "id": "1", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": self.finish, "message": message}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14,
                      "prompt_tokens_details": {"cached_tokens": 4}},
        }  # fmt: skip

    def listing(self):
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "me"} for name in self.models or ()]
        return (200, {"object": "list", "data": data}) if self.models is not None else (404, {"detail": "Not Found"})


@contextmanager
def server(script: Script):
    """The URL of a server of the protocol on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            script.keys.append(self.headers.get("Authorization"))
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(*(script.completion(body) if self.path == "/v1/chat/completions" else (404, {})))

        def do_GET(self):
            self.answer(*(script.listing() if self.path == "/v1/models" else (404, {})))

        def answer(self, status, value):
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Retry-After", "0.01")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("localhost", 0), Handler)
    host, port = running.server_address[:2]
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{port}/v1"
    finally:
        running.shutdown()
        running.server_close()


def ask(script: Script, chats, tmp_path, cfg=GREEDY, **more):
    with server(script) as url:
        return chat(tmp_path, machine(url, **more))(chats, cfg, "x")


def test_what_is_sent_and_what_comes_back(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    script = Script(lambda _, text: json.dumps({"ok": text == "one"}))
    chats = [say("one", schema=SCHEMA), say("two", sample=3), say("one", schema=SCHEMA)]
    found = ask(script, chats, tmp_path, ChatConfig(temperature=0.5, max_new_tokens=9), key_variable="MY_KEY")
    assert [one.text for one in found] == ['{"ok": true}', '{"ok": false}', '{"ok": true}']
    assert (found[0].prompt_tokens, found[0].uncached_tokens, found[0].new_tokens) == (11, 7, 3)
    sent = dict(zip(script.texts, script.seen, strict=True))
    assert len(script.seen) == 2 and set(script.keys) == {"Bearer secret"}
    assert sent["one"]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": json.loads(SCHEMA)},
    }
    assert "response_format" not in sent["two"] and sent["two"]["seed"] == 3
    assert (sent["two"]["temperature"], sent["two"]["max_tokens"], sent["two"]["model"]) == (0.5, 9, "big")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_failing_server_is_asked_again(status, tmp_path):
    script = Script(status=lambda number: status if number < 3 else 200)
    (found,) = ask(script, [say("one")], tmp_path)
    assert found.text == "one" and len(script.seen) == 3


FAULTS = {
    "busy for good": (429, "slow down", 3, r"chat\.batch_size: .* busy, asked 3 times: .*slow down.*chat\.retries"),
    "broken for good": (500, "boom", 3, r"chat\.url: .* fails, asked 3 times: .*boom"),
    "no key": (401, "invalid key", 1, r"chat\.key_variable: .*variable None.*invalid key"),
    "no right": (403, "not yours", 1, r"chat\.key_variable: .*not yours"),
    "no such model": (404, "no big", 1, r"chat\.served_model: .* no 'big' \(it serves big, small\).*no big"),
    "vllm: too long": (400, "maximum context length is 9", 1, r"chat\.url: .*exceed the context.*num_examples"),
    "openai: too long": (400, "code context_length_exceeded", 1, r"chat\.url: .*exceed the context.*max_new_tokens"),
    "refused": (400, "grammar?", 1, r"chat\.url: .*refuses the request: .*grammar\?"),
    "unprocessable": (422, "field?", 1, r"chat\.url: .*refuses the request: .*field\?"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_its_key_after_a_bounded_number_of_attempts(name, tmp_path):
    status, said, attempts, message = FAULTS[name]
    script = Script(lambda *_: said, lambda _: status)
    with pytest.raises(UserError, match=rf"profile: {message}"):
        ask(script, [say("one")], tmp_path)
    assert len(script.seen) == attempts


def test_a_server_that_is_away_is_named(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        host, port = free.getsockname()
        url = f"http://{host}:{port}/v1"
    with pytest.raises(UserError, match=rf"chat\.url: no server answers at {url}.*asked 1 times.*refused"):
        chat(tmp_path, machine(url, retries=0))([say("one")], GREEDY, "x")


def test_a_reply_that_takes_too_long_is_given_up(tmp_path):
    script = Script()
    script.wait_s = 1.0
    with pytest.raises(UserError, match=r"chat\.timeout_s: .*within 0\.05 s, asked 2 times.*chat\.batch_size: 4"):
        ask(script, [say("one")], tmp_path, retries=1, timeout_s=0.05)
    assert len(script.seen) == 2


def test_a_server_of_another_kind_is_named(tmp_path, monkeypatch):
    for value in ("<html>hello</html>", {"choices": []}):
        monkeypatch.setattr(Script, "completion", lambda self, body, value=value: (200, value))
        with pytest.raises(UserError, match=r"chat\.url: .*no chat completion"):
            ask(Script(), [say("one")], tmp_path)


def test_a_reply_that_breaks_its_schema_is_asked_again_under_another_seed(tmp_path):
    script = Script(lambda number, _: "well" if number < 3 else '{"ok": true}')
    (found,) = ask(script, [say("one", schema=SCHEMA, sample=1)], tmp_path)
    assert found.text == '{"ok": true}'
    assert [body["seed"] for body in script.seen] == [1, 1 + NEXT_SEED, 1 + 2 * NEXT_SEED]


def test_a_server_without_structured_output_is_named(tmp_path):
    script = Script(lambda *_: "Sure! Here it is")
    with pytest.raises(UserError, match=r"chat\.structured: .*'Sure! Here it is'.* 3 times.*json_object or none"):
        ask(script, [say("one", schema=SCHEMA)], tmp_path)
    assert len(script.seen) == 3


@pytest.mark.parametrize("structured", ["json_object", "none"])
def test_without_structured_output_a_reply_is_what_the_model_writes(structured, tmp_path):
    script = Script(lambda *_: "Sure!")
    (found,) = ask(script, [say("one", schema=SCHEMA)], tmp_path, structured=structured)
    wanted = {"type": "json_object"} if structured == "json_object" else None
    assert found.text == "Sure!" and script.seen[0].get("response_format") == wanted


def test_a_reply_cut_at_the_limit_is_given_and_told(tmp_path, capsys):
    script = Script(lambda *_: '{"ok": t', finish="length")
    found = ask(script, [say("one", schema=SCHEMA), say("two")], tmp_path)
    assert [one.text for one in found] == ['{"ok": t'] * 2 and len(script.seen) == 2
    assert "1 of 2 replies with a schema were cut at 8 tokens" in capsys.readouterr().err


@pytest.mark.parametrize("stop", ["refused", "killed"])
def test_what_was_answered_before_a_stop_is_never_asked_again(stop, tmp_path, monkeypatch):
    """One in flight, one shard of four: c stops the run, a and b are kept, and the next run asks for c and d."""
    kind = UserError if stop == "refused" else KeyboardInterrupt
    reply = Server.reply

    def stopping(self, one, cfg):
        if one.messages[-1][1] == "c":
            raise kind("stop")
        return reply(self, one, cfg)

    script, chats = Script(), [say(text) for text in "abcd"]
    with server(script) as url:
        of_machine = machine(url, batch_size=1)
        with monkeypatch.context() as patched, pytest.raises(kind):
            patched.setattr(Server, "reply", stopping)
            chat(tmp_path, of_machine)(chats, GREEDY, "x")
        assert script.texts[:2] == ["a", "b"] and len(script.texts) <= 3
        before = list(script.texts)
        found = chat(tmp_path, of_machine)(chats, GREEDY, "x")
    assert [one.text for one in found] == list("abcd")
    assert sorted(script.texts) == list("abcd") and before == script.texts[: len(before)]


def test_another_server_model_or_format_is_another_reply(tmp_path):
    script = Script(lambda *_: "{}")
    with server(script) as url:
        for more in ({}, {"served_model": "small"}, {"structured": "none"}, {}):
            chat(tmp_path, machine(url, **more))([say("one", schema=SCHEMA)], GREEDY, "x")
    assert len(script.seen) == 3


@pytest.mark.parametrize("bad", [{"retries": -1}, {"timeout_s": 0.0}, {"structured": "yes"}])
def test_a_key_out_of_range_is_named(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        machine(None, **bad)


def test_what_the_engine_lacks_is_named(tmp_path):
    with pytest.raises(UserError, match=r"chat\.url and chat\.served_model"):
        chat(tmp_path, machine(None))
    with pytest.raises(UserError, match=r"key_variable.*NO_SUCH_KEY"):
        chat(tmp_path, machine("http://gpu1:1/v1", key_variable="NO_SUCH_KEY"))


def test_clients_ask_side_by_side_and_a_refusal_is_an_error_not_a_second_attempt(tmp_path):
    """Nine requests of three clients: the fourth is refused once, the others are echoed."""
    script = Script(status=lambda number: 429 if number == 4 else 200)
    requests = [say(text) for text in "abc"]
    with server(script) as url, serve(tmp_path, DECODE, machine(url)) as ask_one:
        found = closed_loop(ask_one, requests, lambda one, got: got.text == one.messages[-1][1], 3, 9)
    assert (found["requests"], found["errors"], found["differing"]) == (9, 1, 0)
    assert len(script.seen) == 9
    assert {(body["temperature"], body["max_tokens"]) for body in script.seen} == {(0.0, 8)}


def test_a_load_test_does_not_start_on_a_server_without_the_model(tmp_path):
    with server(Script()) as url:
        with pytest.raises(UserError, match=r"chat\.served_model.*'tiny'.*it serves big, small"):
            serve(tmp_path, DECODE, machine(url, served_model="tiny")).__enter__()
        with pytest.raises(UserError, match=r"engines\.serve.*the prototype alone; bench sft with 'native'"):
            serve(tmp_path / "sft", DECODE, GenerateMachine(precision="float32", batch_size=4)).__enter__()


def test_a_server_that_lists_no_models_can_be_load_tested(tmp_path):
    script = Script()
    script.models = None
    with server(script) as url, serve(tmp_path, DECODE, machine(url)) as ask_one:
        assert ask_one(say("a")).text == "a"
