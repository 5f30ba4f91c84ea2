"""The embedded engine writes what transformers writes: every architecture, constrained or not, many at once."""

import re
import sys
import threading
from dataclasses import replace
from importlib.util import find_spec

import pytest

pytest.importorskip("openvino_genai", reason="needs supertiny[openvino]")
import xgrammar
from transformers import MistralConfig, MistralForCausalLM

from supertiny.compress.cut import keep_channels, loadable
from supertiny.compress.quantize import QuantizationConfig, quantize
from supertiny.compress.vocab import trim_vocabulary
from supertiny.core.ask import DecodeConfig, GenerateMachine, Request
from supertiny.core.calls import Call, Function, Parameter, Refusal, Syntax, parse_reply
from supertiny.core.errors import UserError
from supertiny.core.prompt import Prompt
from supertiny.engines.openvino import pipeline
from supertiny.engines.openvino import serve as module
from supertiny.engines.openvino.serve import ebnf, serve
from supertiny.measure.load import closed_loop
from supertiny.model import checkpoint
from supertiny.model.answer import Loaded
from supertiny.model.batches import Branch, Pack
from supertiny.model.generate import Sampling
from tests.unit.compress.conftest import WORDS, llama_tokenizer, qwen2_tokenizer, random_model

pytestmark = pytest.mark.engine

GPTQ = pytest.mark.skipif(not find_spec("gptqmodel"), reason="needs gptqmodel")
MACHINE = GenerateMachine(precision="float32", batch_size=4)
POOL = {
    "turn_on": Function("turn_on", "Turns on", {"name": Parameter("string", "", True), "area": Parameter("string")}),
    "wait": Function("wait", "Waits", {"minutes": Parameter("integer", required=True), "to": Parameter("array")}),
    "lock": Function("lock", "Locks", {"state": Parameter("string", enum=("{1, -1}", 'a "b"'), required=True)}),
}
OFFERED = [("turn_on", "wait"), ("wait",), ("lock", "turn_on"), ()]
REQUESTS = [
    Request(
        Prompt("Functions: " + " ".join(WORDS) + "\n", " ".join(WORDS[n % 5 : n]) + f" {n} héllo:"),
        tuple(POOL[name] for name in OFFERED[n % 4]),
        Syntax.json,
    )
    for n in range(1, 17)
]
"""prompts of some 40 to 60 tokens that share more than a block of the cache"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def saved(model, tokenizer, folder):
    folder.mkdir()
    checkpoint.save(model, tokenizer, folder)
    return folder


def both(folder, constrained, new_tokens=24, requests=REQUESTS):
    """What transformers writes one at a time, and what the engine writes, asked by six at once."""
    native = Loaded(folder, "float32")
    alone = [native.answer([one], Sampling(new_tokens), 1, constrained)[0] for one in requests]
    written = {}
    with serve(folder, DecodeConfig(constrained=constrained, max_new_tokens=new_tokens), MACHINE) as ask:

        def keep(request, generation):
            written[request.prompt] = generation
            return True

        found = closed_loop(ask, requests, keep, clients=6, count=len(requests))
    assert (found["requests"], found["errors"]) == (len(requests), 0)
    return alone, [written[one.prompt] for one in requests]


def facts(generations):
    return [(one.text, one.prompt_tokens, one.new_tokens) for one in generations]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("make", [llama_tokenizer, qwen2_tokenizer])
def test_it_writes_what_transformers_writes(tmp_path, make, tied):
    tokenizer = make()
    folder = saved(random_model(tokenizer, tied), tokenizer, tmp_path / "model")
    for constrained in (False, True):
        alone, written = both(folder, constrained)
        assert facts(written) == facts(alone)
        assert constrained or len({one.text for one in alone}) > 1
    assert all(one.uncached_tokens == one.prompt_tokens for one in written)


BABBLING = [(llama_tokenizer, 3), (llama_tokenizer, 6), (qwen2_tokenizer, 10)]


@pytest.mark.parametrize(
    ("make", "seed", "syntax"),
    [*((*one, Syntax.json) for one in BABBLING), *((*one, Syntax.python) for one in BABBLING[1:])],
)
def test_constrained_answers_of_models_that_babble_are_valid_and_the_same(tmp_path, make, seed, syntax):
    """The seeds are of models that write calls: numbers, lists, strings, values of an enum.

    What a model babbles beyond ASCII may differ: the engine's grammars also admit bytes that are no UTF-8.
    """
    tokenizer = make()
    folder = saved(random_model(tokenizer, layers=2, seed=seed), tokenizer, tmp_path / "model")
    asked = [replace(one, syntax=syntax) for one in REQUESTS]
    alone, written = both(folder, True, 60, asked)
    calls = 0
    for request, native, one in zip(asked, alone, written, strict=True):
        if native.text.isascii():
            assert facts([one]) == facts([native])
        assert one.text.startswith(re.match(r"[\x00-\x7f]*", native.text)[0])
        if one.new_tokens < 60:
            reply = parse_reply(one.text, {function.name: function for function in request.candidates}, syntax)
            assert isinstance(reply, Call | Refusal), one.text
            calls += isinstance(reply, Call)
    assert calls


@pytest.mark.parametrize("make", [llama_tokenizer, qwen2_tokenizer])
def test_a_pruned_model_with_a_trimmed_vocabulary_is_the_same_too(tmp_path, make):
    """A Llama of 28 channels and 4 heads becomes a Mistral."""
    tokenizer = make()
    model = random_model(tokenizer, num_attention_heads=8)
    keep_channels(model, range(28), [range(40)] * 4)
    model, tokenizer = trim_vocabulary(loadable(model), tokenizer, [" ".join(WORDS[:6])])
    folder = saved(model, tokenizer, tmp_path / "model")
    assert make is qwen2_tokenizer or isinstance(checkpoint.load_model(folder), MistralForCausalLM)
    alone, written = both(folder, True)
    assert facts(written) == facts(alone)


def test_a_request_that_is_too_long_is_refused_and_the_others_are_answered(tmp_path):
    tokenizer = llama_tokenizer()
    folder = saved(random_model(tokenizer), tokenizer, tmp_path / "model")
    long = Request(Prompt("", "on " * 300), (), Syntax.json)
    with serve(folder, DecodeConfig(constrained=False, max_new_tokens=8), MACHINE) as ask:
        found = closed_loop(ask, [REQUESTS[0], long, REQUESTS[1]], lambda *_: True, clients=3, count=3)
        assert (found["requests"], found["errors"]) == (3, 1)
        with pytest.raises(UserError, match="exceed the 256 positions of model; offer fewer functions"):
            ask(long)


def test_a_step_that_fails_is_an_error_of_its_requests_and_not_the_end(tmp_path, monkeypatch):
    tokenizer = llama_tokenizer()
    folder = saved(random_model(tokenizer), tokenizer, tmp_path / "model")
    with serve(folder, DecodeConfig(constrained=True, max_new_tokens=8), MACHINE) as ask:
        before = ask(REQUESTS[0])
        with monkeypatch.context() as broken:
            broken.setattr("supertiny.engines.openvino.serve.grammar", lambda *_: "root ::= nothing such")
            with pytest.raises(RuntimeError):
                ask(REQUESTS[0])
        assert ask(REQUESTS[0]) == before


def test_what_was_asked_before_the_end_is_answered(tmp_path):
    tokenizer = llama_tokenizer()
    folder = saved(random_model(tokenizer), tokenizer, tmp_path / "model")
    found, asked = [], threading.Barrier(5)

    def client(ask, request):
        asked.wait()
        found.append(ask(request))

    with serve(folder, DecodeConfig(constrained=False, max_new_tokens=30), MACHINE) as ask:
        threads = [threading.Thread(target=client, args=(ask, one)) for one in REQUESTS[:4]]
        for thread in threads:
            thread.start()
        asked.wait()
        while not found:
            pass
    for thread in threads:
        thread.join(30)
    assert len(found) == 4


def test_a_model_is_converted_once_whole_or_not_at_all(tmp_path, monkeypatch):
    tokenizer = llama_tokenizer()
    folder = saved(random_model(tokenizer), tokenizer, tmp_path / "model")
    with monkeypatch.context() as broken:
        broken.setattr(module, "convert_tokenizer", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            module.converted(folder)
    assert not [one for one in (tmp_path / "cache/supertiny/openvino").iterdir() if one.is_dir()]
    first = module.converted(folder)
    monkeypatch.setattr(module, "_write", lambda *_: 1 / 0)
    assert module.converted(folder) == first
    other = saved(random_model(tokenizer, seed=1), tokenizer, tmp_path / "other")
    with pytest.raises(ZeroDivisionError):
        module.converted(other)


def test_a_model_it_cannot_run_is_named(tmp_path):
    tokenizer = llama_tokenizer()
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}
    windowed = MistralForCausalLM(MistralConfig(**sizes, num_hidden_layers=1, vocab_size=400, sliding_window=8))
    with pytest.raises(UserError, match="without a sliding window .* take engine 'native'"):
        module.converted(saved(windowed, tokenizer, tmp_path / "windowed"))


@pytest.mark.parametrize(
    ("make", "scheme", "code_bytes"),
    [(llama_tokenizer, "w8a16", 1), pytest.param(qwen2_tokenizer, "w4a16", 0.5, marks=GPTQ)],
)
def test_codes_are_multiplied_as_they_are_stored(tmp_path, make, scheme, code_bytes):
    """They are a quarter or an eighth of the floats, and stand for the very numbers that the emulation multiplies."""
    tokenizer = make()
    base = saved(random_model(tokenizer, hidden_size=64, intermediate_size=96, layers=2), tokenizer, tmp_path / "base")
    encode = checkpoint.encoder(tokenizer)
    packs = [Pack(encode(" ".join(WORDS)), (Branch(encode(" turn"), encode(" on")),))]
    how = QuantizationConfig(group_size=128, calibration_examples=1, damp=0.05)
    quantize(base, scheme, packs, tmp_path / scheme, how)
    alone, written = both(tmp_path / scheme, True)
    assert facts(written) == facts(alone)
    sizes = [(module.converted(one) / "openvino_model.bin").stat().st_size for one in (tmp_path / scheme, base)]
    weights = sum(one.numel() for name, one in checkpoint.load_model(base).named_parameters() if "_proj.weight" in name)
    a_group = 4 / 32  # bytes of a scale, inputs that share it
    assert sizes[1] - sizes[0] == pytest.approx(weights * (4 - code_bytes - a_group), rel=0.01)


def test_eight_bit_floats_are_refused(tmp_path):
    tokenizer = llama_tokenizer()
    base = saved(random_model(tokenizer, hidden_size=64, intermediate_size=96), tokenizer, tmp_path / "base")
    how = QuantizationConfig(group_size=128, calibration_examples=1, damp=0.05)
    quantize(base, "w8a8", [], tmp_path / "w8a8", how)
    with pytest.raises(UserError, match="multiplies no FP8 on CPUs; take 'native', or the float model"):
        module.converted(tmp_path / "w8a8")


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino_genai", None)
    with (
        pytest.raises(UserError, match=r"needs the package openvino_genai: pip install 'supertiny\[openvino\]'"),
        serve(tmp_path, DecodeConfig(constrained=True, max_new_tokens=8), MACHINE),
    ):
        pass


def test_only_counts_change_in_the_text_of_a_grammar():
    """Literals and classes may hold what looks like a count."""
    rules = ['root ::= word{2,} "{1, -1}\\"{1, -1}" word{0, 3}', 'word ::= [a{1, -1}\\]"] | [b-d]{5,}']
    grammar = xgrammar.Grammar.from_ebnf("\n".join(rules))
    counts = [part for part in ("{2, -1}", "{5, -1}") if part in str(grammar)]
    assert counts, "this xgrammar writes counts in another way"
    text = ebnf(grammar)
    assert not any(part in text for part in counts) and text.count("{1, -1}") == str(grammar).count("{1, -1}") > 0
    assert str(xgrammar.Grammar.from_ebnf(text)) == str(grammar)


def test_the_least_of_the_machine_is_kept(tmp_path):
    """`batch_size` bounds a step: with one, requests still all are answered."""
    tokenizer = llama_tokenizer()
    folder = saved(random_model(tokenizer), tokenizer, tmp_path / "model")
    one = GenerateMachine(precision="float32", batch_size=1)
    with pipeline.opened(module.converted(folder), one) as write:
        from openvino_genai import GenerationConfig

        how = GenerationConfig(max_new_tokens=3, ignore_eos=True)
        assert len(write([5, 6, 7], how)) == 3
