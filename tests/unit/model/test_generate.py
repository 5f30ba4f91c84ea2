"""Greedy generation: batches, shared prefixes and grammars change the cost, never the rules."""

import json

import pytest
import torch

from supertiny.core.ask import Request
from supertiny.core.calls import Call, Function, Parameter, Refusal, parse_reply
from supertiny.core.prompt import Prompt
from supertiny.model.generate import Constraint, Sampler, Sampling, common_prefix, generate

POOL = {
    "turn_on": Function("turn_on", "Turns on", {"name": Parameter("string"), "area": Parameter("string")}),
    "wait": Function("wait", "Waits", {"minutes": Parameter("integer", required=True)}),
    "lock": Function("lock", "Locks", {"state": Parameter("string", enum=("open", "shut"), required=True)}),
    "plan": Function(
        "plan",
        "Plans",
        {"days": Parameter("array", items=Parameter("string", enum=("mon", "tue"))), "any": Parameter("array")},
    ),
}


def naive(model, prompt, new_tokens, end):
    """The oracle: one prompt at a time, no cache, no batch."""
    ids = list(prompt)
    for _ in range(new_tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == end:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("shared", [0, 40])
def test_batches_and_shared_prefixes_write_what_one_at_a_time_writes(tiny, tokenizer, shared):
    generator = torch.Generator().manual_seed(3)
    head = torch.randint(0, 256, (shared,), generator=generator).tolist()
    tails = [torch.randint(0, 256, (5 + 7 * row,), generator=generator).tolist() for row in range(5)]
    prompts = [head + tail for tail in tails]
    found = generate(tiny, tokenizer, prompts, Sampling(8), batch_size=3)
    with torch.no_grad():
        for row, (prompt, tail, one) in enumerate(zip(prompts, tails, found, strict=True)):
            ids = naive(tiny, prompt, 8, tokenizer.eos_token_id)
            assert one.text == tokenizer.decode(ids, skip_special_tokens=True)
            assert (one.prompt_tokens, one.new_tokens) == (len(prompt), len(ids))
            assert one.uncached_tokens == (len(tail) if row else len(prompt))  # the first computes what all share


def test_a_sample_depends_on_its_own_seed_alone(tiny, tokenizer):
    prompts = [[5, 6, 7], [9, 8], [1, 2, 3, 4]]
    together = generate(tiny, tokenizer, prompts, Sampling(12, 1.5, [3, 4, 3]), batch_size=2)
    for prompt, seed, one in zip(prompts, (3, 4, 3), together, strict=True):
        assert generate(tiny, tokenizer, [prompt], Sampling(12, 1.5, [seed]), 1)[0].text == one.text
    other = generate(tiny, tokenizer, prompts, Sampling(12, 1.5, [5, 6, 7]), batch_size=2)
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


def test_constrained_decoding_never_writes_an_invalid_answer(tiny, tokenizer):
    """A random model babbles; under the grammar every finished answer parses."""
    constraint = Constraint(tokenizer, tiny.config.vocab_size)
    rows = [[POOL["turn_on"], POOL["wait"]], [POOL["wait"]], [POOL["lock"]], []]
    asked = [Request(Prompt("", ""), tuple(functions)) for functions in rows]
    prompts = [[seed, seed + 1, seed + 2] for seed in range(20)]
    found = generate(
        tiny, tokenizer, prompts, Sampling(200), 4, lambda batch: constraint.processor([asked[i % 4] for i in batch])
    )
    finished = [(index, one) for index, one in enumerate(found) if one.new_tokens < 200]
    assert finished
    for index, one in finished:
        reply = parse_reply(one.text, {function.name: function for function in rows[index % 4]})
        assert isinstance(reply, Call | Refusal), one.text


@pytest.mark.parametrize(
    "answer",
    [
        '{"name":"turn_on","arguments":{}}',
        '{"name":"turn_on","arguments":{"area":"kitchen"}}',
        '{"name":"turn_on","arguments":{"name":"Anna\'s \\"big\\" lamp","area":"kitchen"}}',
        '{"name":"wait","arguments":{"minutes":-15}}',
        '{"name":"lock","arguments":{"state":"shut"}}',
        '{"name":"plan","arguments":{"days":["tue","mon"]}}',
        '{"name":"plan","arguments":{"days":[],"any":["a",-1.5,true]}}',
        "No appropriate function",
        "Request unclear",
    ],
)
def test_the_grammar_admits_every_right_answer(tiny, tokenizer, answer):
    assert _admits(tiny, tokenizer, answer)


@pytest.mark.parametrize(
    "answer",
    [
        '{"name":"turn_off","arguments":{}}',
        '{"name":"wait","arguments":{}}',
        '{"name":"wait","arguments":{"minutes":"5"}}',
        '{"name":"lock","arguments":{"state":"ajar"}}',
        '{"name":"turn_on","arguments":{"colour":"red"}}',
        '{"name":"plan","arguments":{"days":["noday"]}}',
        '{"name":"plan","arguments":{"days":[1]}}',
        '{"name":"plan","arguments":{"any":[["a"]]}}',
        '{"name":"plan","arguments":{"any":[null]}}',
        '{"name":"plan","arguments":{"any":[{}]}}',
        "Request unclear indeed",
    ],
)
def test_the_grammar_refuses_what_the_schema_refuses(tiny, tokenizer, answer):
    assert not _admits(tiny, tokenizer, answer)


def _admits(model, tokenizer, answer):
    import xgrammar

    processor = Constraint(tokenizer, model.config.vocab_size).processor(
        [Request(Prompt("", ""), tuple(POOL.values()))]
    )
    matcher = xgrammar.GrammarMatcher(processor.compiled_grammars[0])
    return all(matcher.accept_token(token) for token in tokenizer(" " + answer)["input_ids"]) and matcher.accept_token(
        tokenizer.eos_token_id
    )


def test_the_schema_is_json(tiny):
    from supertiny.core.prompt import call_schema

    schema = json.loads(json.dumps(call_schema(POOL.values())))
    assert [one["properties"]["name"]["const"] for one in schema["anyOf"]] == list(POOL)
