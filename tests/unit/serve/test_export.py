"""What the card of a deployment folder says can be started."""

import re
import shlex

import pytest

from supertiny.core.calls import Syntax
from supertiny.core.errors import UserError
from supertiny.core.git import Provenance
from supertiny.serve.export import SERVERS, card, servers_for
from tests import flags


def made(engine=None, syntax=Syntax.json, is_float=True):
    metrics, servers = {"ar": 0.5, "qps": {"cc8": 2.0}}, servers_for(engine, syntax, is_float)
    return card("tiny", metrics, Provenance("abc", "def"), servers, "", syntax)


def commands(text):
    return dict(re.findall(r"^# (.*)\n(.*)$", text.split("```")[1], re.MULTILINE))


@pytest.mark.parametrize(("is_float", "servers"), [(True, 5), (False, 3)])
def test_only_what_reads_the_folder_is_named(is_float, servers):
    """TensorRT-LLM 1.2 and llama.cpp read no quantized folder; both metrics are in the table, whatever their depth."""
    text = made(is_float=is_float)
    found = commands(text)
    assert len(found) == servers
    assert ("TensorRT-LLM" in found) == ("llama.cpp" in found) == is_float
    assert "| ar | 0.5 |" in text and "| qps.cc8 | 2.0 |" in text and "git abc, dvc.lock sha256 def" in text


def test_the_parser_of_calls_as_python_writes_them_is_named_where_there_is_one():
    plain, python = commands(made()), commands(made(syntax=Syntax.python))
    assert not any("parser" in command for command in plain.values())
    assert {title for title in python if python[title] != plain[title]} == {"vLLM"}
    program, verb, model, *options = shlex.split(python["vLLM"])
    assert (program, verb, model) == ("vllm", "serve", "models/tiny")
    taken = flags.taken(options, flags.snapshot("vllm"))
    assert taken["--tool-call-parser"] == "olmo3" and taken["--enable-auto-tool-choice"]
    assert "olmo3" in made(syntax=Syntax.python).split("```")[2] and "olmo3" not in made()


def test_a_folder_for_one_server_names_that_one():
    assert list(commands(made("sglang"))) == ["the whole online path", "SGLang"]
    assert list(commands(made("vllm", Syntax.python))) == ["the whole online path", "vLLM"]
    assert "also as GGUF" not in made("vllm") and "also as GGUF" in made("llama.cpp")


@pytest.mark.parametrize(
    ("engine", "syntax", "is_float", "said"),
    [
        ("warp", Syntax.json, True, "--engine: expected one of sglang, vllm, trtllm, llama.cpp, got 'warp'"),
        ("trtllm", Syntax.json, False, "--engine: TensorRT-LLM reads no quantized folder"),
        *(
            (name, Syntax.python, True, rf"--engine: .*prompt.answer: python, and {one.title} has no parser.*for vllm")
            for name, one in SERVERS.items()
            if not one.parser
        ),
    ],
)
def test_a_server_that_cannot_is_refused_and_the_error_says_who_can(engine, syntax, is_float, said):
    with pytest.raises(UserError, match=said):
        servers_for(engine, syntax, is_float)
