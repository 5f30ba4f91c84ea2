"""Greedy generation: batches, shared prefixes and grammars change the cost, never the rules."""

import json

import pytest
import torch
import xgrammar
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, MistralConfig, Qwen2Config
from xgrammar.testing import _is_grammar_accept_string

from supertiny.core.ask import Request
from supertiny.core.calls import Call, Fault, Function, Parameter, Refusal, Syntax, parse_reply, written
from supertiny.core.errors import UserError
from supertiny.core.prompt import Prompt, call_schema, response, write
from supertiny.model import checkpoint
from supertiny.model import generate as module
from supertiny.model.answer import must_fit
from supertiny.model.generate import (
    Constraint,
    Encoded,
    Prefixes,
    Sampler,
    Sampling,
    _Python,
    common_prefix,
    generate,
    grammar,
    text_of,
)
from tests.schemas import VALUES, functions_and_calls

POOL = {
    "turn_on": Function("turn_on", "Turns on", {"name": Parameter("string"), "area": Parameter("string")}),
    "wait": Function("wait", "Waits", {"minutes": Parameter("integer", required=True)}),
    "lock": Function("lock", "Locks", {"state": Parameter("string", enum=("open", "shut"), required=True)}),
    "plan": Function(
        "plan",
        "Plans",
        {
            "days": Parameter("array", items=Parameter("string", enum=("mon", "tue"))),
            "any": Parameter("array"),
            "hours": Parameter("array", items=Parameter("integer")),
            "shares": Parameter("array", items=Parameter("number")),
            "flags": Parameter("array", items=Parameter("boolean")),
            "levels": Parameter("array", items=Parameter("integer", enum=(2, 4))),
            "level": Parameter("integer", enum=(2, 4)),
            "share": Parameter("number", enum=(0.5, 2)),
            "flag": Parameter("boolean", enum=(False,)),
        },
    ),
}


def whole(prompts):
    """Prompts that do not say what they share, as chats."""
    return [Encoded((), tuple(prompt)) for prompt in prompts]


def naive(model, prompt, new_tokens, end):
    """The oracle: one prompt at a time, no cache, no batch."""
    ids = list(prompt)
    for _ in range(new_tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == end:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize(("shared", "said"), [(0, False), (40, False), (40, True)])
def test_batches_and_shared_prefixes_write_what_one_at_a_time_writes(tiny, tokenizer, shared, said):
    generator = torch.Generator().manual_seed(3)
    head = torch.randint(0, 256, (shared,), generator=generator).tolist()
    tails = [torch.randint(0, 256, (5 + 7 * row,), generator=generator).tolist() for row in range(5)]
    prompts = [head + tail for tail in tails]
    asked = [Encoded(tuple(head), tuple(tail)) for tail in tails] if said else whole(prompts)
    found = generate(tiny, tokenizer, asked, Sampling(8), batch_size=3)
    with torch.no_grad():
        for row, (prompt, tail, one) in enumerate(zip(prompts, tails, found, strict=True)):
            ids = naive(tiny, prompt, 8, tokenizer.eos_token_id)
            assert one.text == tokenizer.decode(ids, skip_special_tokens=True)
            assert (one.prompt_tokens, one.new_tokens) == (len(prompt), len(ids))
            assert one.uncached_tokens == (len(tail) if row else len(prompt))  # the first computes what all share


def test_lists_of_functions_are_read_once_and_the_latest_are_held(tiny, tokenizer, monkeypatch):
    """Whatever was asked before, an answer is the same; what was held for it need not be read again."""
    monkeypatch.setattr(module, "KEPT_TOKENS", 50)
    lists = [tuple(range(start, start + 20)) for start in (1, 40, 80)]
    asked = [Encoded(one, (5, 6, 7 + at)) for at, one in enumerate(lists)]
    fresh = [generate(tiny, tokenizer, [one], Sampling(6), 4)[0] for one in asked]
    prefixes = Prefixes(tiny, of_clients=True)

    def ask(*which):
        found = generate(tiny, tokenizer, [asked[at] for at in which], Sampling(6), 4, prefixes=prefixes)
        assert [one.text for one in found] == [fresh[at].text for at in which]
        return [one.uncached_tokens for one in found]

    assert ask(0, 1, 0) == [23, 23, 3]
    assert ask(1) == [3] and ask(0) == [3]
    assert ask(2) == [23], "the one of 1 has left: it was used before that of 0"
    assert ask(0) == [3] and ask(1) == [23]


def test_prompts_behind_lists_of_their_own_are_written_together(tiny, tokenizer, monkeypatch):
    """A list for each query, as an oracle has it: as many steps as for one list, and the answers of each alone."""
    asked = [Encoded((*range(30), at), (5, 6, 7)) for at in range(5)]
    alone = [generate(tiny, tokenizer, [one], Sampling(6), 4)[0].text for one in asked]
    sizes, written = [], module._written
    monkeypatch.setattr(module, "_written", lambda *args: sizes.append(len(args[3][0])) or written(*args))
    found = generate(tiny, tokenizer, asked, Sampling(6), 4)
    assert [one.text for one in found] == alone and sizes == [4, 1]
    assert sorted(one.uncached_tokens for one in found)[:2] == [4, 4], "all begin alike but for a token"


def test_a_sample_depends_on_its_own_seed_alone(tiny, tokenizer):
    prompts = [[5, 6, 7], [9, 8], [1, 2, 3, 4]]
    together = generate(tiny, tokenizer, whole(prompts), Sampling(12, 1.5, [3, 4, 3]), batch_size=2)
    for prompt, seed, one in zip(prompts, (3, 4, 3), together, strict=True):
        assert generate(tiny, tokenizer, whole([prompt]), Sampling(12, 1.5, [seed]), 1)[0].text == one.text
    other = generate(tiny, tokenizer, whole(prompts), Sampling(12, 1.5, [5, 6, 7]), batch_size=2)
    assert [one.text for one in other] != [one.text for one in together]


def test_samples_come_as_often_as_the_softmax_says():
    """p^(1/T) of p = .6, .3, .1, 0 at T = 2 is .775, .548, .316, so .473, .334, .193."""
    logits = torch.tensor([0.6, 0.3, 0.1, 0.0]).log().expand(6000, -1)
    drawn = Sampler(2.0, range(6000))(torch.empty(0), logits).argmax(-1).bincount(minlength=4) / 6000
    assert drawn.tolist() == pytest.approx([0.473, 0.334, 0.193, 0.0], abs=0.02)  # three sigma
    assert drawn[3] == 0


def test_common_prefix():
    assert common_prefix([[1, 2, 3], [1, 2], [1, 2, 4]]) == [1, 2]
    assert common_prefix([[1], [2]]) == []
    assert common_prefix([[], [2]]) == []


@pytest.mark.parametrize("syntax", Syntax)
def test_constrained_decoding_never_writes_an_invalid_answer(tiny, tokenizer, syntax):
    """A random model babbles; under the grammar every finished answer parses."""
    constraint = Constraint(tokenizer, tiny.config.vocab_size)
    rows = [[POOL["turn_on"], POOL["wait"]], [POOL["wait"]], [POOL["lock"]], []]
    asked = [Request(Prompt("", ""), tuple(functions), syntax) for functions in rows]
    prompts = [[seed, seed + 1, seed + 2] for seed in range(20)]
    found = generate(
        tiny,
        tokenizer,
        whole(prompts),
        Sampling(200),
        4,
        lambda batch: constraint.processor([asked[i % 4] for i in batch]),
    )
    finished = [(index, one) for index, one in enumerate(found) if one.new_tokens < 200]
    assert finished
    for index, one in finished:
        reply = parse_reply(one.text, {function.name: function for function in rows[index % 4]}, syntax)
        assert isinstance(reply, Call | Refusal), one.text


RIGHT = [
    Call("turn_on"),
    Call("turn_on", {"area": "kitchen"}),
    Call("turn_on", {"name": 'Anna\'s "big" lamp\\', "area": "kitchen"}),
    Call("wait", {"minutes": -15}),
    Call("lock", {"state": "shut"}),
    Call("plan", {"days": ["tue", "mon"]}),
    Call("plan", {"days": [], "any": ["a", -1.5, True]}),
    Call("plan", {"any": [], "hours": [0, -2, 10**18]}),
    Call("plan", {"shares": [1, 0.5, -1e-07], "flags": [True, False]}),
    Call("plan", {"levels": [2, 4], "level": 2, "share": 0.5, "flag": False}),
    *Refusal,
]
WRONG = [
    Call("turn_off"),
    Call("wait"),
    Call("wait", {"minutes": "5"}),
    Call("wait", {"minutes": 5.5}),
    Call("wait", {"minutes": True}),
    Call("wait", {"minutes": [5]}),
    Call("lock", {"state": "ajar"}),
    Call("lock", {"state": ["open"]}),
    Call("turn_on", {"colour": "red"}),
    Call("turn_on", {"area": "hall", "name": "lamp"}),
    Call("turn_on", {"area": None}),
    Call("plan", {"days": ["noday"]}),
    Call("plan", {"days": [1]}),
    Call("plan", {"days": "mon"}),
    Call("plan", {"days": [["mon"]]}),
    Call("plan", {"days": ["mon", None]}),
    Call("plan", {"any": [["a"]]}),
    Call("plan", {"any": [[]]}),
    Call("plan", {"any": [None]}),
    Call("plan", {"any": [{}]}),
    Call("plan", {"any": ["a", {"b": 1}]}),
    Call("plan", {"any": {}}),
    Call("plan", {"hours": [1.5]}),
    Call("plan", {"hours": [True]}),
    Call("plan", {"hours": ["1"]}),
    Call("plan", {"shares": [False]}),
    Call("plan", {"flags": [1]}),
    Call("plan", {"flags": ["True"]}),
    Call("plan", {"levels": [3]}),
    Call("plan", {"levels": ["2"]}),
    Call("plan", {"level": 3}),
    Call("plan", {"share": 1}),
    Call("plan", {"flag": True}),
]


@pytest.mark.parametrize("answer", [written(answer, syntax) for answer in RIGHT for syntax in Syntax])
def test_the_grammar_admits_every_right_answer(tiny, tokenizer, answer):
    """Each in its own syntax alone; a refusal in both."""
    admitted = {syntax for syntax in Syntax if _admits(tiny, tokenizer, answer, syntax)}
    own = {Syntax.json} if answer.startswith("{") else {Syntax.python} if answer.endswith(")") else set(Syntax)
    assert admitted == own


@pytest.mark.parametrize(
    "answer",
    [
        *(written(answer, syntax) for answer in WRONG for syntax in Syntax),
        "Request unclear indeed",
        "wait(minutes=05)",
        "wait(minutes=5, minutes=5)",
        "lock(state=shut)",
        'turn_on("red")',
        "turn_on(area='kitchen')",
        'turn_on(area="kit\nchen")',
        'turn_on(area="\\ud800")',
        'turn_on(area="kitchen",)',
        'turn_on(, area="kitchen")',
        "[turn_on()]",
        "turn_on() ",
        "turn_on()turn_on()",
    ],
)
@pytest.mark.parametrize("syntax", Syntax)
def test_the_grammar_refuses_what_the_schema_refuses(tiny, tokenizer, answer, syntax):
    assert not _admits(tiny, tokenizer, answer, syntax)


def _admits(model, tokenizer, answer, syntax):
    processor = Constraint(tokenizer, model.config.vocab_size).processor(
        [Request(Prompt("", ""), tuple(POOL.values()), syntax)]
    )
    matcher = xgrammar.GrammarMatcher(processor.compiled_grammars[0])
    return all(matcher.accept_token(token) for token in tokenizer(" " + answer)["input_ids"]) and matcher.accept_token(
        tokenizer.eos_token_id
    )


@settings(max_examples=60)  # a grammar is compiled for each
@given(functions_and_calls(), st.sampled_from(Syntax), st.booleans())
def test_the_grammar_admits_whatever_is_written(pair, syntax, thinks):
    function, call = pair
    assume(syntax is Syntax.python or not _numbers(function))
    rules = grammar(Request(Prompt("", ""), (function,), syntax), thinks)
    answers = [response(one, {function.name: function}, syntax) for one in (call, Refusal.UNCLEAR)]
    for text in [write("so: f", one) for one in answers] if thinks else answers:
        assert _is_grammar_accept_string(rules, f" {text}")
        assert _is_grammar_accept_string(xgrammar.Grammar.from_ebnf(text_of(rules)), f" {text}"), "as servers get it"


def _numbers(function):
    """Those of enums; xgrammar writes some of a JSON enum as other numbers."""
    kinds = [kind for one in function.parameters.values() for kind in (one, one.items) if kind]
    return [value for kind in kinds for value in kind.enum if isinstance(value, int | float)]


@settings(max_examples=60)
@given(functions_and_calls(), st.data())
def test_both_grammars_admit_the_same_values_and_what_the_reader_takes(pair, data):
    """One argument is any value at all: a scalar, null, an array of those or of arrays, an object."""
    function, call = pair
    assume(function.parameters and not _numbers(function))
    scalars = st.none() | st.booleans() | st.integers(-3, 3) | VALUES["number"] | st.text("ab", max_size=2)
    inner = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text("ab", max_size=1), scalars, max_size=1)
    name, value = data.draw(st.sampled_from(list(function.parameters))), data.draw(inner | st.lists(inner, max_size=2))
    wrong = Call(function.name, {**call.arguments, name: value})
    asked = {syntax: Request(Prompt("", ""), (function,), syntax) for syntax in Syntax}
    text = {syntax: response(wrong, {function.name: function}, syntax) for syntax in Syntax}
    admitted = {_is_grammar_accept_string(grammar(asked[one], False), f" {text[one]}") for one in Syntax}
    assert len(admitted) == 1, text
    # a whole number may be read with a point, but no model is let to write one
    values = value if isinstance(value, list) else [value]
    pointed = any(isinstance(one, float) and one.is_integer() for one in values)
    for syntax in Syntax:
        read = isinstance(parse_reply(text[syntax], {function.name: function}, syntax), Call)
        assert admitted == {read} or (pointed and read), text


@settings(max_examples=60)
@given(functions_and_calls(), st.integers(0, 60), st.sampled_from(list('{}[]()=", \\ae1-.T')) | st.just(""))
def test_the_grammar_admits_no_python_call_that_the_reader_finds_unreadable(pair, at, sign):
    """One character of a right answer is another, or gone."""
    function, call = pair
    text = written(call, Syntax.python)
    text = text[: at % len(text)] + sign + text[at % len(text) + 1 :]
    rules = grammar(Request(Prompt("", ""), (function,), Syntax.python), False)
    if _is_grammar_accept_string(rules, f" {text}"):
        reply = parse_reply(text, {function.name: function}, Syntax.python)
        assert isinstance(reply, Call) or reply.fault is Fault.NOT_FINITE, text  # 1e999 is a number to the grammar


def test_the_grammar_of_an_object_has_its_keys_in_order_and_those_that_are_required():
    """No parameter is one today; the rules read all that JSON schemas of calls may hold."""
    at = {"enum": [1, True, "a"]}
    place = {"x y": {"type": "integer"}, "of": {"type": "array", "items": {"type": "null"}}, "at": at}
    value = {"type": "object", "properties": place, "required": ["of"]}
    arguments = {"type": "object", "properties": {"place": value}, "required": ["place"]}
    schema = {"anyOf": [{"properties": {"name": {"const": "go"}, "arguments": arguments}}]}
    rules = xgrammar.Grammar.from_ebnf(_Python().rules(schema))
    right = ['{"x y": -1, "of": [None, None], "at": True}', '{"of": [], "at": "a"}', '{"of": [None]}']
    wrong = ["{}", '{"x y": 1}', '{"at": 1, "of": []}', '{"of": [1]}', '{"of": [], "at": 2}', '{"of":[]}']
    found = {one: _is_grammar_accept_string(rules, f"go(place={one})") for one in right + wrong}
    assert [one for one, admitted in found.items() if admitted] == right


def test_the_grammar_of_json_is_what_it_was_before_there_was_another():
    schema = json.dumps(call_schema(POOL.values()))
    call = xgrammar.Grammar.from_json_schema(schema, any_whitespace=False, separators=(",", ":"))
    words = xgrammar.Grammar.from_ebnf('root ::= "No appropriate function" | "Request unclear"')
    expected = xgrammar.Grammar.concat(xgrammar.Grammar.from_ebnf('root ::= " "'), xgrammar.Grammar.union(words, call))
    assert str(grammar(Request(Prompt("", ""), tuple(POOL.values()), Syntax.json), False)) == str(expected)


def test_the_schema_is_json(tiny):
    schema = json.loads(json.dumps(call_schema(POOL.values())))
    assert [one["properties"]["name"]["const"] for one in schema["anyOf"]] == list(POOL)


@pytest.mark.parametrize("value", ["Bébé", "é0", "\xa0a\\x41", "厨a", "😀1", "plain"])
@pytest.mark.parametrize("syntax", Syntax)
def test_a_server_is_told_the_same_letters(value, syntax):
    pool = {"lock": Function("lock", "", {"state": Parameter("string", enum=(value,))})}
    rules = grammar(Request(Prompt("", ""), tuple(pool.values()), syntax), False)
    read = xgrammar.Grammar.from_ebnf(text_of(rules))
    answer = response(Call("lock", {"state": value}), pool, syntax)
    assert _is_grammar_accept_string(read, f" {answer}") and str(read) == str(rules)
    assert value != "plain" or text_of(rules) == str(rules)


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        (LlamaConfig(max_position_embeddings=64), 64),
        (MistralConfig(max_position_embeddings=64, sliding_window=16), 16),
        (MistralConfig(max_position_embeddings=64, sliding_window=None), 64),
        (Qwen2Config(max_position_embeddings=64, use_sliding_window=False, sliding_window=16), 64),
    ],
)
def test_a_model_reads_as_much_as_all_of_its_tokens_see(config, tokens):
    """Behind a list that is held once no window slides: a prompt that is longer is refused."""
    assert checkpoint.positions(config) == tokens
    must_fit(tokens - 4, 4, tokens, "model")
    with pytest.raises(UserError, match=f"exceed the {tokens} positions of model; offer fewer functions"):
        must_fit(tokens - 3, 4, tokens, "model")
