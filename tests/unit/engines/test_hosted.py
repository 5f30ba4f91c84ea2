"""A server's life: started, waited for, asked, stopped; every way in which it can fail says what to do."""

import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from supertiny.core.ask import Chat, ChatConfig, ChatMachine, DecodeConfig, GenerateMachine, Generation, Request
from supertiny.core.calls import Syntax
from supertiny.core.config import load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import write_json
from supertiny.core.prompt import Prompt
from supertiny.engines.servers import answer
from supertiny.engines.servers import hosted as module
from supertiny.engines.servers.hosted import Kind, Plan, Start, Step, hosted, partial
from supertiny.engines.servers.launch import LaunchConfig, ServersConfig
from tests.project import smoke_project

SMALL = GenerateMachine(precision="float32", batch_size=4)
LARGE = ChatMachine(
    precision="float32",
    batch_size=4,
    shard=4,
    url=None,
    served_model=None,
    key_variable=None,
    retries=1,
    timeout_s=5.0,
    structured="json_schema",
)
LISTS = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
host, port, name, wait = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
print("loading", os.getpid(), flush=True)
time.sleep(wait)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        model = {"id": name, "object": "model", "created": 0, "owned_by": "x"}
        content = json.dumps({"object": "list", "data": [model]})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())
    def log_message(self, *_):
        pass
HTTPServer((host, port), Handler).serve_forever()
"""
"""lists one model, after a while"""


def listing(wait_s=0.0, name=None) -> Kind:
    def plan(start):
        words = [sys.executable, "-c", LISTS, start.host, str(start.port), name or start.name, str(wait_s)]
        return Plan(words)

    return Kind("vllm", plan, lambda ebnf: {})


def saying(script: str) -> Kind:
    return Kind("vllm", lambda start: Plan(["sh", "-c", script]), lambda ebnf: {})


@pytest.fixture
def profile(tmp_path):
    """Changes entries of `servers` and `launch`; the project's model is `data/models/tiny`."""
    changes = {}

    def change(params, profile):
        for key, more in changes.items():
            section, _, entry = key.partition(".")
            (profile[section][entry] if entry else profile[section]).update(more)

    def make(**sections):
        changes.update({key.replace("__", "."): value for key, value in sections.items()})
        folder = tmp_path / f"project{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        context = smoke_project(folder, change)
        opened.append(context)
        context.__enter__()
        write_json(Path("data/models/tiny/config.json"), {"model_type": "qwen2"})
        return folder

    opened = []
    yield make
    for context in reversed(opened):
        context.__exit__(None, None, None)


MODEL = Path("data/models/tiny")


def pid_of(log: str) -> int:
    return int(next(line for line in log.splitlines() if line.startswith("loading")).split()[1])


def test_a_server_is_waited_for_asked_by_its_models_name_and_stopped(profile, tmp_path):
    folder = profile()
    with hosted(listing(wait_s=0.7), MODEL, SMALL, None) as server:
        server.check()
        (log,) = (folder / "cache/supertiny/servers").glob("vllm-*.log")
        pid = pid_of(log.read_text())
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_it_is_stopped_when_the_stage_fails(profile):
    folder = profile()
    with pytest.raises(ZeroDivisionError), hosted(listing(), MODEL, SMALL, None):
        raise ZeroDivisionError
    (log,) = (folder / "cache/supertiny/servers").glob("vllm-*.log")
    with pytest.raises(ProcessLookupError):
        os.kill(pid_of(log.read_text()), 0)


def test_a_server_that_ends_before_it_answers_shows_what_it_said(profile):
    profile()
    with pytest.raises(UserError, match=r"(?s)vllm server of .*data/models/tiny ended \(exit 7\).*No space left"):
        hosted(saying("echo torch.OutOfMemoryError; echo No space left; exit 7"), MODEL, SMALL, None).__enter__()


def test_a_server_that_never_answers_is_given_up_and_stopped(profile):
    folder = profile(servers__answers={"start_minutes": 0.01})
    with pytest.raises(UserError, match=r"did not answer at http://127\.0\.0\.1:\d+/v1 within start_minutes: 0\.01"):
        hosted(saying("echo loading $$; sleep 60"), MODEL, SMALL, None).__enter__()
    (log,) = (folder / "cache/supertiny/servers").glob("vllm-*.log")
    with pytest.raises(ProcessLookupError):
        os.kill(pid_of(log.read_text()), 0)


def test_a_server_of_another_model_is_found_out(profile):
    profile()
    with pytest.raises(UserError, match=r"servers\.answers\.url: .* has no 'tiny' \(it serves other\)"):
        hosted(listing(name="other"), MODEL, SMALL, None).__enter__()


def test_elsewhere_a_server_needs_a_port_and_listens_to_all(profile):
    profile(launch={"template": "sh -c {command}"})
    with pytest.raises(UserError, match=r"servers\.answers\.port: 0 looks for a free port on this machine"):
        hosted(listing(), MODEL, SMALL, None).__enter__()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    profile(launch={"template": 'sh -c "cd {folder} && exec {command}"'}, servers__answers={"port": port})
    seen = []

    def plan(start):
        seen.append(start)
        return listing().plan(start)

    with hosted(Kind("vllm", plan, lambda ebnf: {}), MODEL, SMALL, None) as server:
        server.check()
    assert (seen[0].host, seen[0].port) == ("0.0.0.0", port)


def test_a_given_address_is_asked_with_its_key_and_nothing_is_started(profile, monkeypatch):
    """The server belongs to somebody: it is still there afterwards."""
    keys = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            keys.append(self.headers.get("Authorization"))
            content = b'{"object": "list", "data": [{"id": "tiny", "object": "model", "created": 0, "owned_by": "x"}]}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    theirs = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=theirs.serve_forever, daemon=True).start()
    host, port = theirs.server_address[:2]
    folder = profile(servers__answers={"url": f"http://{host}:{port}/v1", "key_variable": "THEIR_KEY"})
    with pytest.raises(UserError, match=r"servers\.answers\.key_variable: the environment has no THEIR_KEY"):
        hosted(saying("exit 1"), MODEL, SMALL, None).__enter__()
    monkeypatch.setenv("THEIR_KEY", "open sesame")
    with hosted(saying("exit 1"), MODEL, SMALL, None) as server:
        server.check()
    assert set(keys) == {"Bearer open sesame"}
    assert module._answers(f"http://{host}:{port}/v1") and not (folder / "cache/supertiny/servers").exists()
    theirs.shutdown()
    theirs.server_close()


def test_the_large_models_server_may_hold_another_model_than_the_graphs(profile):
    profile(servers={"model": "Big/Model"})
    seen = []

    def plan(start):
        seen.append(start)
        return listing().plan(start)

    with hosted(Kind("vllm", plan, lambda ebnf: {}), MODEL, LARGE, 0) as server:
        server.check()
    assert (seen[0].model, seen[0].name, seen[0].at_once) == ("Big/Model", "Big/Model", 4)


def prepared(out: Path, script: str) -> Kind:
    step = Step(["sh", "-c", script], out)
    return Kind("trtllm", lambda start: replace(listing().plan(start), steps=[step]), lambda ebnf: {})


def test_what_is_made_before_a_server_starts_is_made_once_and_whole(profile, tmp_path):
    profile()
    out = tmp_path / "engine"
    made = f"mkdir -p {partial(out)} && echo x >> {tmp_path}/runs && echo y > {partial(out)}/file"
    for _ in range(2):
        with hosted(prepared(out, made), MODEL, SMALL, None):
            assert (out / "file").read_text() == "y\n"
    assert (tmp_path / "runs").read_text() == "x\n"


def test_two_runs_at_once_make_it_once(profile, tmp_path):
    """Else each would take away what the other is writing."""
    folder, out = profile(), tmp_path / "engine"
    script = f"echo x >> {tmp_path}/runs; mkdir {partial(out)} && sleep 0.3 && echo y > {partial(out)}/file"
    kind = prepared(out, script)
    launch = LaunchConfig(template="{command}", programs={})
    start = Start(
        model="m", name="m", host="h", port=1, precision="auto", at_once=1, launch=launch, scratch=tmp_path,
        cfg=load_profile("servers", ServersConfig).answers, model_type="", quantization={},
    )  # fmt: skip
    with ThreadPoolExecutor(2) as threads:
        step = Step(["sh", "-c", script], out)
        runs = [threads.submit(module._made, step, start, kind, folder / f"log{number}") for number in range(2)]
    assert [run.result() for run in runs] == [None, None]
    assert (tmp_path / "runs").read_text() == "x\n" and (out / "file").read_text() == "y\n"


@pytest.mark.parametrize(
    ("end", "message"),
    [("exit 3", r"engine failed \(exit 3\)"), ("true", "the program ended well, but wrote no")],
)
def test_what_cannot_be_made_stops_the_stage_and_leaves_nothing(profile, tmp_path, end, message):
    profile()
    out = tmp_path / "engine"
    with pytest.raises(UserError, match=message):
        hosted(prepared(out, end), MODEL, SMALL, None).__enter__()
    assert not out.exists()


def test_files_are_there_before_the_server_is(profile, tmp_path):
    profile()
    options = tmp_path / "o" / "options.yaml"
    kind = Kind(
        "trtllm", lambda start: Plan(["sh", "-c", f"cat {options}; exit 1"], [], {options: "a: 1"}), lambda e: {}
    )
    with pytest.raises(UserError, match=r"(?s)ended \(exit 1\).*a: 1"):
        hosted(kind, MODEL, SMALL, None).__enter__()


def test_a_server_that_dies_later_is_an_error_of_the_request(profile):
    profile(servers__answers={"retries": 0, "timeout_s": 2.0})
    dying = Kind("vllm", lambda start: Plan(["sh", "-c", f"exec timeout 1.5 {' '.join(_quoted(start))}"]), lambda e: {})
    with hosted(dying, MODEL, SMALL, None) as server:
        time.sleep(2.0)
        with pytest.raises(UserError, match=r"servers\.answers\.url: no server answers at .*asked 1 times"):
            server.write([1, 2], 4, {})


def _quoted(start):
    import shlex

    return [shlex.quote(word) for word in listing().plan(start).command]


class Answers:
    """In place of a server."""

    cut = ()

    def reply(self, chat, cfg):
        return Generation("right", 1, 1, 1)

    def write(self, prompt, max_new_tokens, held_to):
        return Generation("f()", 1, 1, 1)


def test_no_two_servers_stand_on_the_gpus_at_once(profile, monkeypatch):
    """As stage `reject` asks: the large model, then one of this project, then the large model's verdicts."""
    profile()
    up, started = [], []

    @contextmanager
    def stands(kind, model, machine, retries):
        started.append(type(machine).__name__)
        up.append(model)
        assert len(up) == 1
        yield Answers()
        up.remove(model)

    monkeypatch.setattr(answer, "hosted", stands)
    monkeypatch.setattr(answer, "_writer", lambda kind, model, server: lambda request, cfg: server.write([], 1, {}))
    ask = answer.chats(listing(), MODEL, LARGE)

    def chat(*questions):
        chats = [Chat((("user", one),)) for one in questions]
        return ask(chats, ChatConfig(temperature=0.0, max_new_tokens=4), "chats")

    decode, request = DecodeConfig(constrained=False, max_new_tokens=4), Request(Prompt("f()", "x"), (), Syntax.json)
    chat("a", "b")
    chat("c")
    assert answer.answers(listing(), MODEL, [request], decode, SMALL)[0].text == "f()"
    assert not up
    assert chat("d")[0].text == "right" and up
    with answer.asking(listing(), MODEL, decode, SMALL) as one:
        assert one(request).text == "f()"
    assert started == ["ChatMachine", "GenerateMachine", "ChatMachine", "GenerateMachine"] and not up


def test_a_model_that_is_served_from_a_folder_is_known_by_its_content(profile):
    profile()
    assert module.by_content("Big/Model") == "Big/Model" and module.by_content(str(MODEL)) == MODEL
