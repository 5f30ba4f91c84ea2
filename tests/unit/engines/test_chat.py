"""Chats: kept replies are never asked for again, and both engines speak the same way."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from supertiny.core.errors import UserError
from supertiny.engines.endpoint.chat import chat as endpoint_chat
from supertiny.engines.native.chat import chat as native_chat
from supertiny.model.ask import Chat, ChatConfig, ChatMachine, Generation
from supertiny.model.replies import Replies

GREEDY = ChatConfig(temperature=0.0, max_new_tokens=8)
SCHEMA = json.dumps({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]})


def say(text: str, **more) -> Chat:
    return Chat((("system", "Answer."), ("user", text)), **more)


def machine(**more) -> ChatMachine:
    values = {"precision": "float32", "batch_size": 4, "shard": 2, "url": None, "served_model": None}
    return ChatMachine(**{**values, "key_variable": None, **more})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


class Scripted:
    """Answers with the last word, remembers what it was asked, and dies when told to."""

    def __init__(self, dies_at=None):
        self.asked, self.dies_at = [], dies_at

    def __call__(self, chats, cfg):
        if self.dies_at is not None and len(self.asked) >= self.dies_at:
            raise KeyboardInterrupt
        self.asked += [chat.messages[-1][1] for chat in chats]
        return [Generation(f"{chat.messages[-1][1]}!", 5, 5, 1) for chat in chats]


def test_no_prompt_is_asked_twice_within_a_run_or_across_runs():
    first = Scripted()
    found = Replies("m", first, 2).ask([say("a"), say("b"), say("a"), say("c")], GREEDY, "x")
    assert [one.text for one in found] == ["a!", "b!", "a!", "c!"] and sorted(first.asked) == ["a", "b", "c"]
    second = Scripted()
    Replies("m", second, 2).ask([say("c"), say("d")], GREEDY, "x")
    assert second.asked == ["d"]


def test_another_model_decoding_sample_or_schema_is_another_reply():
    first = Scripted()
    Replies("m", first, 8).ask([say("a"), say("a", sample=1), say("a", schema=SCHEMA)], GREEDY, "x")
    Replies("m", first, 8).ask([say("a")], ChatConfig(temperature=1.0, max_new_tokens=8), "x")
    Replies("other", first, 8).ask([say("a")], GREEDY, "x")
    assert first.asked == ["a"] * 5


def test_a_killed_run_loses_at_most_one_shard():
    with pytest.raises(KeyboardInterrupt):
        Replies("m", Scripted(dies_at=4), 2).ask([say(c) for c in "abcdef"], GREEDY, "x")
    second = Scripted()
    found = Replies("m", second, 2).ask([say(c) for c in "abcdef"], GREEDY, "x")
    assert second.asked == ["e", "f"] and [one.text for one in found] == [f"{c}!" for c in "abcdef"]


def test_a_corrupt_file_of_replies_is_named(cache):
    Replies("m", Scripted(), 2).ask([say("a")], GREEDY, "x")
    (path,) = (cache / "supertiny/replies/m").glob("*.jsonl")
    path.write_text(path.read_text()[:20])
    with pytest.raises(UserError, match=f"{path.name}, line 1"):
        Replies("m", Scripted(), 2).ask([say("a")], GREEDY, "x")


def test_the_native_engine_follows_the_schema_and_samples_differ(tiny_folder):
    ask = native_chat(tiny_folder, machine())
    (found,) = ask([say("a", schema=SCHEMA)], ChatConfig(temperature=0.0, max_new_tokens=40), "x")
    assert json.loads(found.text)["ok"] in (True, False)
    warm = ChatConfig(temperature=1.0, max_new_tokens=20)
    several = ask([say("a", sample=n) for n in range(4)], warm, "x")
    assert len({one.text for one in several}) > 1


@contextmanager
def server(status_of=lambda number: 200):
    """A server of the protocol on a free port: echoes the last message, and keeps what it was sent."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, self.headers.get("Authorization"), body))
            status = status_of(len(seen))
            reply = {
                "id": "1", "object": "chat.completion", "created": 0, "model": body["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": {
                    "role": "assistant", "content": body["messages"][-1]["content"].upper()}}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14,
                          "prompt_tokens_details": {"cached_tokens": 4}},
            }  # fmt: skip
            content = json.dumps(reply if status == 200 else {"error": {"message": "busy"}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("localhost", 0), Handler)
    host, port = running.server_address[:2]
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{port}/v1", seen
    finally:
        running.shutdown()


def test_the_endpoint_engine_speaks_the_protocol(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    with server() as (url, seen):
        ask = endpoint_chat(tmp_path, machine(url=url, served_model="big", key_variable="MY_KEY"))
        found = ask(
            [say("one", schema=SCHEMA), say("two", sample=3)], ChatConfig(temperature=0.5, max_new_tokens=9), "x"
        )
    assert [one.text for one in found] == ["ONE", "TWO"]
    assert (found[0].prompt_tokens, found[0].uncached_tokens, found[0].new_tokens) == (11, 7, 3)
    sent = {body["messages"][-1]["content"]: body for _, _, body in seen}
    assert {path for path, _, _ in seen} == {"/v1/chat/completions"} and seen[0][1] == "Bearer secret"
    assert sent["one"]["response_format"]["json_schema"]["schema"] == json.loads(SCHEMA)
    assert "response_format" not in sent["two"] and sent["two"]["seed"] == 3
    assert (sent["two"]["temperature"], sent["two"]["max_tokens"], sent["two"]["model"]) == (0.5, 9, "big")


def test_a_busy_server_is_asked_again(tmp_path):
    with server(lambda number: 429 if number < 3 else 200) as (url, seen):
        (found,) = endpoint_chat(tmp_path, machine(url=url, served_model="big"))([say("one")], GREEDY, "x")
    assert found.text == "ONE" and len(seen) == 3


def test_a_server_that_refuses_is_one_clear_error(tmp_path):
    with server(lambda _: 400) as (url, _), pytest.raises(UserError, match=r"chat\.url.*did not answer.*busy"):
        endpoint_chat(tmp_path, machine(url=url, served_model="big"))([say("one")], GREEDY, "x")


def test_what_the_endpoint_engine_lacks_is_named(tmp_path):
    with pytest.raises(UserError, match=r"chat\.url and chat\.served_model"):
        endpoint_chat(tmp_path, machine())
    with pytest.raises(UserError, match="key_variable.*NO_SUCH_KEY"):
        endpoint_chat(tmp_path, machine(url="http://gpu1:1/v1", served_model="m", key_variable="NO_SUCH_KEY"))
