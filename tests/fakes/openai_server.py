"""A server of the OpenAI protocol as SGLang, vLLM and TensorRT-LLM start it: their options, their words for a grammar.

It takes no option that its program does not know (the snapshots in tests/unit/engines/flags), answers by the native
engine's generation on the CPU, and holds a reply to the EBNF that the request gives. Prefixes are cached in name:
`cached_tokens` counts the longest beginning that an earlier prompt had.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import xgrammar
from xgrammar.contrib.hf import LogitsProcessor

from supertiny.core.ask import Chat
from supertiny.model import checkpoint
from supertiny.model.answer import chat_ids
from supertiny.model.generate import Encoded, Sampling, generate
from tests import flags

GRAMMARS = {
    "sglang": lambda body: body.get("ebnf"),
    "vllm": lambda body: (body.get("structured_outputs") or {}).get("grammar"),
    "trtllm-serve": lambda body: (body.get("response_format") or {}).get("ebnf"),
}
FIELDS = {"model", "prompt", "messages", "temperature", "max_tokens", "seed", "response_format"}
"""of a request, that all of them know"""
OWN = {"sglang": {"ebnf"}, "vllm": {"structured_outputs"}, "trtllm-serve": set()}
OPTIONS = {
    "sglang": ("--model-path", "--served-model-name", "--host", "--port"),
    "vllm": ("--model", "--served-model-name", "--host", "--port"),
    "trtllm-serve": ("--tokenizer", "", "--host", "--port"),
}


class Model:
    """Answers one request after the other."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer, self.model = checkpoint.load_tokenizer(folder), checkpoint.load_model(folder)
        self.lock, self.seen = threading.Lock(), list[list[int]]()
        info = xgrammar.TokenizerInfo.from_huggingface(
            self.tokenizer, vocab_size=self.model.config.vocab_size, stop_token_ids=self.tokenizer.eos_token_id
        )
        self.compiler = xgrammar.GrammarCompiler(info, max_threads=1)

    def answer(self, prompt: list[int], body: Mapping[str, Any], grammar: xgrammar.Grammar | None) -> Any:
        """(what was generated, how many tokens of the prompt are in an earlier one)."""

        def constrain(rows: list[int]) -> LogitsProcessor | None:
            return LogitsProcessor([self.compiler.compile_grammar(grammar) for _ in rows]) if grammar else None

        with self.lock:
            cached = max((_common(prompt, earlier) for earlier in self.seen), default=0)
            self.seen.append(prompt)
            (found,) = generate(
                self.model, self.tokenizer, [Encoded((), tuple(prompt))], Sampling(body["max_tokens"]), 1, constrain
            )
        return found, min(cached, len(prompt) - 1)


def _common(one: list[int], other: list[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


def main(program: str) -> None:
    given = flags.taken(sys.argv[1:], flags.snapshot(program))
    model_option, name_option, host, port = OPTIONS[program]
    folder = Path(given[model_option])
    names = given.get(name_option) or Path(given.get("model", folder)).name
    name = names[0] if isinstance(names, list) else names
    if record := os.environ.get("FAKE_SERVER_RECORD"):
        with Path(record).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"program": program, "words": sys.argv[1:]}) + "\n")
    time.sleep(float(os.environ.get("FAKE_SERVER_SLEEP", "0")))
    serve(program, Model(folder), name, (given[host], given[port]))


def serve(program: str, model: Model, name: str, address: tuple[str, int]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            data = [{"id": name, "object": "model", "created": 0, "owned_by": program}]
            self.say(200, {"object": "list", "data": data})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            unknown = set(body) - FIELDS - OWN[program]
            if unknown or body["model"] != name:
                self.say(404 if not unknown else 400, {"error": {"message": f"unknown: {unknown or body['model']}"}})
                return
            self.say(200, _chat(model, body) if self.path.endswith("/chat/completions") else _completion(body))

        def say(self, status, value):
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    def _completion(body):
        ebnf = GRAMMARS[program](body)
        grammar = xgrammar.Grammar.from_ebnf(ebnf) if ebnf else None
        found, cached = model.answer(body["prompt"], body, grammar)
        return _reply({"index": 0, "text": found.text, "finish_reason": "stop"}, found, cached, body)

    ThreadingHTTPServer(address, Handler).serve_forever()


def _chat(model: Model, body: Mapping[str, Any]) -> dict[str, Any]:
    chat = Chat(tuple((one["role"], one["content"]) for one in body["messages"]))
    wanted = (body.get("response_format") or {}).get("json_schema")
    grammar = xgrammar.Grammar.from_json_schema(json.dumps(wanted["schema"]), any_whitespace=False) if wanted else None
    prompt = chat_ids(model.tokenizer, chat)
    found, cached = model.answer(prompt, body, grammar)
    message = {"role": "assistant", "content": found.text}
    return _reply({"index": 0, "message": message, "finish_reason": "stop"}, found, cached, body)


def _reply(choice: dict[str, Any], found: Any, cached: int, body: Mapping[str, Any]) -> dict[str, Any]:
    usage = {"prompt_tokens": found.prompt_tokens, "completion_tokens": found.new_tokens, "total_tokens": 0}
    usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return {"id": "1", "object": "x", "created": 0, "model": body["model"], "choices": [choice], "usage": usage}


if __name__ == "__main__":
    main(sys.argv.pop(1))
