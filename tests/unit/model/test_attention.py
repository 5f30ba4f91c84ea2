"""A prefix is held once for all behind it, and what is read is what the stock model reads with a dense mask."""

import copy
from random import Random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from supertiny.model import hardware
from supertiny.model.batches import Branch, Pack, collate
from supertiny.model.checkpoint import E4M3_MAX, E4M3Linear
from supertiny.model.generate import GROWTH, Encoded, Rows, Sampling, generate, rollouts
from supertiny.model.train import ResponseLogits

CLOSE = {"atol": 7e-5, "rtol": 1e-5}
lengths = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5)
shapes = st.lists(st.tuples(st.integers(0, 30), lengths), min_size=1, max_size=3)
SHAPES = [
    [(0, [(3, 2)])],
    [(12, [(5, 4), (5, 4), (5, 4)])],
    [(12, [(1, 1), (30, 9), (2, 2), (1, 1), (2, 3)]), (7, [(3, 3)]), (0, [(40, 2), (1, 7)])],
]


def packs(shape):
    draw = Random(0)
    ids = lambda size: [draw.randrange(250) for _ in range(size)]  # noqa: E731
    return [Pack(ids(first), tuple(Branch(ids(a), ids(b)) for a, b in rest)) for first, rest in shape]


def dense(model, batch):
    """The oracle: transformers' own attention under a mask of all tokens by all tokens."""
    model.set_attn_implementation("sdpa")
    states = model.base_model(
        input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    return model.get_output_embeddings()(states[batch.predict])


def with_gradients(model, logits):
    model.zero_grad()
    logits.log_softmax(-1).square().mean().backward()
    return logits.detach(), {name: one.grad.clone() for name, one in model.named_parameters()}


@pytest.mark.parametrize("max_scores", [0, 500, hardware.MAX_SCORES], ids=["token by token", "in parts", "at once"])
@pytest.mark.parametrize("shape", SHAPES, ids=["no prefix", "one pack", "several"])
def test_packs_as_trees_are_packs_under_a_dense_mask(family, shape, max_scores, monkeypatch):
    monkeypatch.setattr(hardware, "MAX_SCORES", max_scores)
    batch = collate(packs(shape), 256)
    expected, expected_gradients = with_gradients(family, dense(family, batch))
    found, gradients = with_gradients(family, ResponseLogits(family)(batch))
    torch.testing.assert_close(found, expected, **CLOSE)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], **CLOSE)


def detached(module, q, k, v, mask, *, learned, **options):
    """transformers' own attention, the keys and values of some tokens without a gradient."""
    k, v = (torch.where(learned[:, None, :, None], one, one.detach()) for one in (k, v))
    return sdpa_attention_forward(module, q, k, v, mask, **options)


AttentionInterface.register("detached", detached)
AttentionMaskInterface.register("detached", sdpa_mask)


def dense_frozen(model, batch):
    """The oracle: the dense mask, no gradient through a prefix."""
    model.set_attn_implementation("detached")
    states = model.base_model(
        input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False,
        learned=batch.branch != 0,
    ).last_hidden_state  # fmt: skip
    return model.get_output_embeddings()(states[batch.predict])


@pytest.mark.parametrize("max_scores", [500, hardware.MAX_SCORES], ids=["in parts", "at once"])
@pytest.mark.parametrize("shape", SHAPES, ids=["no prefix", "one pack", "several"])
def test_a_frozen_prefix_is_read_as_it_is_and_gets_no_gradient(family, shape, max_scores, monkeypatch):
    monkeypatch.setattr(hardware, "MAX_SCORES", max_scores)
    batch = collate(packs(shape), 256)
    expected, expected_gradients = with_gradients(family, dense_frozen(family, batch))
    found, gradients = with_gradients(family, ResponseLogits(family, prefix_frozen=True)(batch))
    torch.testing.assert_close(found, expected, **CLOSE)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], **CLOSE)


def test_a_frozen_prefix_leaves_all_weights_their_gradient_under_autocast(family):
    """Autocast keeps the weights that it cast; those that the prefix was read with would get no gradient."""
    batch = collate(packs(SHAPES[1]), 256)
    _, exact = with_gradients(family, dense_frozen(family, batch))
    with torch.autocast("cpu", torch.bfloat16):
        logits = ResponseLogits(family, prefix_frozen=True)(batch)
    _, rounded = with_gradients(family, logits.float())
    for name, gradient in rounded.items():
        assert torch.cosine_similarity(gradient.flatten(), exact[name].flatten(), 0) > 0.9, name


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes)
def test_packs_of_any_lengths_are_packs_under_a_dense_mask(family, shape):
    batch = collate(packs(shape), 256)
    with torch.no_grad():
        torch.testing.assert_close(ResponseLogits(family)(batch), dense(family, batch), **CLOSE)


@pytest.mark.parametrize("mixed", [False, True], ids=["bfloat16 weights", "autocast"])
def test_trees_in_bfloat16_are_as_near_as_bfloat16_is(family, mixed):
    batch = collate(packs(SHAPES[2]), 256)
    with torch.no_grad():
        exact = dense(family, batch)
        model = family if mixed else copy.deepcopy(family).bfloat16()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            rounded, found = dense(model, batch).float(), ResponseLogits(model)(batch).float()
    assert (found - exact).abs().mean() < 1.5 * (rounded - exact).abs().mean() < 0.1 * exact.std()


def test_trees_of_layers_that_quantize_their_inputs(family):
    for name, layer in list(family.base_model.named_modules()):
        if isinstance(layer, torch.nn.Linear):
            weight = layer.weight.detach()
            quantized = E4M3Linear(layer, weight, weight.abs().amax(1, keepdim=True) / E4M3_MAX)
            family.base_model.set_submodule(name, quantized)
    batch = collate(packs(SHAPES[2]), 256)
    with torch.no_grad():
        found, expected = ResponseLogits(family)(batch), dense(family, batch)
    # a last digit may take an input to the next of E4M3's few numbers
    assert (found - expected).abs().mean() < 0.02 * expected.std()


def test_gradient_checkpointing_recomputes_the_same(family):
    batch = collate(packs(SHAPES[1]), 256)
    family.train()
    expected, expected_gradients = with_gradients(family, ResponseLogits(family)(batch))
    family.activation_checkpointing_enable({"use_reentrant": False})
    found, gradients = with_gradients(family, ResponseLogits(family)(batch))
    assert torch.equal(found, expected)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], **CLOSE)


def naive(model, prompt, new_tokens, end):
    """The oracle: one prompt at a time, no cache, no batch, transformers' own attention."""
    model.set_attn_implementation("sdpa")
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(new_tokens):
            ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
            if ids[-1] == end:
                break
    return ids[len(prompt) :]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 40),
    st.lists(st.integers(1, 20), min_size=1, max_size=6),
    st.sampled_from([64, hardware.MAX_SCORES]),
    st.integers(0, 99),
    st.booleans(),
)
def test_generation_behind_a_shared_prefix_is_greedy_decoding(family, tokenizer, shared, own, max_scores, seed, said):
    draw = Random(seed)
    first = [draw.randrange(250) for _ in range(shared)]
    tails = [[draw.randrange(250) for _ in range(size)] for size in own]
    prompts = [first + tail for tail in tails]
    asked = [Encoded(tuple(first), tuple(tail)) if said else Encoded((), (*first, *tail)) for tail in tails]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardware, "MAX_SCORES", max_scores)
        found = generate(family, tokenizer, asked, Sampling(5), batch_size=3)
        replies = rollouts(family, tokenizer, asked, 2, Sampling(5), 8)
    for prompt, one, both in zip(prompts, found, replies, strict=True):
        ids = naive(family, prompt, 5, tokenizer.eos_token_id)
        assert one.text == tokenizer.decode(ids, skip_special_tokens=True)
        assert both == [ids, ids]


def test_rows_read_on_as_they_would_alone(family):
    """Three levels: a prefix of all, two prompts of unequal length, three rows of each; logits step by step."""
    draw = Random(1)
    first, prompts = [3, 1, 4], [[1, 5, 9, 2], [6, 5]]
    rows = [[draw.randrange(250) for _ in range(GROWTH + 8)] for _ in range(6)]
    with torch.inference_mode():
        prefix = Rows()
        prefix.read(family, torch.tensor([first]), None)
        middle = Rows(prefix)
        middle.read(family, torch.tensor([[1, 5, 9, 2], [0, 0, 6, 5]]), torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]]) > 0)
        below = Rows(middle)
        steps = [torch.tensor(rows)[:, :2], *torch.tensor(rows)[:, 2:].split(1, 1)]
        found = torch.cat([below.read(family, ids, None) for ids in steps], 1)
        family.set_attn_implementation("sdpa")
        for at, row in enumerate(rows):
            ids = first + prompts[at // 3] + row
            alone = family.base_model(torch.tensor([ids]), use_cache=False).last_hidden_state[0, -len(row) :]
            torch.testing.assert_close(found[at], alone, **CLOSE)


def test_the_keys_of_a_prefix_are_never_multiplied(family):
    K, D, P, R, T = 2, 8, 40, 32, 5
    with torch.inference_mode():
        prefix, rows = Rows(), None
        prefix.read(family, torch.randint(0, 250, (1, P)), None)
        (before,) = prefix.keys(0)
        rows = Rows(prefix)
        for _ in range(3):
            rows.read(family, torch.randint(0, 250, (R, T)), None)
        above, own = rows.keys(0)
    assert above.k.shape == above.v.shape == (K, 1, P, D) and own.k.shape == own.v.shape == (K, R, 3 * T, D)
    assert (above.k.data_ptr(), above.v.data_ptr()) == (before.k.data_ptr(), before.v.data_ptr())
    assert before.k.untyped_storage().nbytes() == K * P * D * 4
    assert own.k.untyped_storage().nbytes() <= K * R * (3 * T + GROWTH) * D * 4


def test_no_tensor_of_a_step_has_the_prefix_for_every_row(family, monkeypatch):
    """Keys and values go into the products as they are held; what has R P entries are scores alone."""
    seen, product = [], torch.bmm
    P, R = 40, 32

    def bmm(a, b):
        seen.append((tuple(a.shape), tuple(b.shape)))
        return product(a, b)

    with torch.inference_mode():
        prefix = Rows()
        prefix.read(family, torch.randint(0, 250, (1, P)), None)
        rows = Rows(prefix)
        rows.read(family, torch.randint(0, 250, (R, 3)), None)
        monkeypatch.setattr(torch, "bmm", bmm)
        rows.read(family, torch.randint(0, 250, (R, 1)), None)
    to_prefix, of_prefix = ((2, R * 3, 8), (2, 8, P)), ((2, R * 3, P), (2, P, 8))
    to_own, of_own = ((2 * R, 3, 8), (2 * R, 8, 4)), ((2 * R, 3, 4), (2 * R, 4, 8))
    assert seen == [to_prefix, to_own, of_prefix, of_own] * 2
