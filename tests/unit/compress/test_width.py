"""Width pruning: the score by hand and by an oracle, and models that equal those made with fewer channels."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from supertiny.compress.cut import ChannelImportance, keep_channels, loadable, measure, most_important_groups
from supertiny.compress.search import Shape, cut
from supertiny.core.errors import UserError
from supertiny.model.batches import Branch, Pack, collate
from tests.unit.compress.conftest import SIZES, llama_tokenizer, random_model

IDS = torch.tensor([[5, 9, 2, 7, 30, 4]])
PACKS = [
    Pack([5, 6, 7, 8], (Branch([9, 10], [11, 12]), Branch([13], [14, 15, 16]))),
    Pack([20, 21], (Branch([22], [23]),)),
]
HIDDEN, INTER = [0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 31], [*range(16), 40, 41]
WHOLE = list(range(SIZES["hidden_size"])), list(range(SIZES["intermediate_size"]))


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(bpe, request):
    return random_model(bpe, request.param)


def logits(model, ids=IDS):
    with torch.inference_mode():
        return model(ids).logits


def taken(weights, hidden, inter):
    """A state dict with these channels in this order, by the names of the weights alone."""
    cuts = {}
    for name, weight in weights.items():
        part = name.split(".")[-2]
        if part in ("embed_tokens", "lm_head", "q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"):
            weight = weight[:, hidden] if weight.ndim == 2 else weight
        if part in ("norm", "input_layernorm", "post_attention_layernorm", "o_proj", "down_proj"):
            weight = weight[hidden]
        if part in ("gate_proj", "up_proj"):
            weight = weight[inter]
        cuts[name] = weight[:, inter] if part == "down_proj" and weight.ndim == 2 else weight
    return cuts


def test_importance_by_hand():
    """Two norms of one block, three tokens in two batches: (3, 4) / 5 + (0, 2) / 2 = (.6, 1.8)."""
    norms, linears = [nn.Identity(), nn.Identity()], [nn.Identity(), nn.Identity()]
    mlp = SimpleNamespace(gate_proj=linears[0], up_proj=linears[1])
    block = SimpleNamespace(input_layernorm=norms[0], post_attention_layernorm=norms[1], mlp=mlp)
    scores = ChannelImportance(SimpleNamespace(base_model=SimpleNamespace(layers=[block])))
    see = dict(scores.watched)
    for module, *batches in (
        (norms[0], [[1.0, 4.0], [-2.0, 0.0]], [[2.0, 0.0]]),
        (norms[1], [[0.0, -2.0]]),
        (linears[0], [[1.0, 0.0, 0.0]]),
        (linears[1], [[0.0, 3.0, 4.0]]),
    ):
        for made in batches:
            see[module](torch.zeros(1), torch.tensor(made))
    assert scores.hidden() == pytest.approx([0.6, 1.8])
    assert scores.inter() == [pytest.approx([1.0, 0.6, 0.8])]


def test_what_a_channel_adds_by_hand():
    """Activations of norms 5, 2, 1 before columns of norms 1, 3, 13: 5, 6, 13 over their norm."""
    norm, out = nn.Identity(), nn.Linear(3, 2, bias=False)
    out.weight.data = torch.tensor([[1.0, 0.0, 5.0], [0.0, -3.0, -12.0]])
    block = SimpleNamespace(
        input_layernorm=norm, post_attention_layernorm=norm, mlp=SimpleNamespace(down_proj=out, gate_proj=None)
    )
    scores = ChannelImportance(SimpleNamespace(base_model=SimpleNamespace(layers=[block])), by_output=True)
    see = dict(scores.watched)
    for read in ([[3.0, 2.0, 1.0]], [[-4.0, 0.0, 0.0]]):
        see[out](torch.tensor(read), torch.full((1, 2), 100.0))
    assert scores.inter() == [pytest.approx([value / 230**0.5 for value in (5, 6, 13)])]


def test_channels_that_add_nothing_go_first(model):
    """Channel 0 of each block is loud and nobody reads it: its activation keeps it, what it adds does not."""
    with torch.no_grad():
        for block in model.model.layers:
            block.mlp.gate_proj.weight[0].mul_(20).abs_()
            block.mlp.down_proj.weight[:, 0] = 0
    batch = collate(PACKS, 0)
    by_output, by_itself = measure(model, [batch], by_output=True), measure(model, [batch])
    assert all(scores.index(min(scores)) == 0 and scores[0] == 0 for scores in by_output.inter)
    assert all(min(scores) < scores[0] for scores in by_itself.inter)
    assert by_output.hidden == by_itself.hidden and by_output.layers == by_itself.layers


def test_importance_is_that_of_each_branch_alone(model):
    """The oracle: each branch behind its prefix on its own; every token of a pack counts once, padding never."""
    modules = [(b.input_layernorm, b.post_attention_layernorm) for b in model.model.layers]
    gates = [(b.mlp.gate_proj, b.mlp.up_proj) for b in model.model.layers]
    seen = {module: [] for pair in (*modules, *gates) for module in pair}
    start = 0
    hooks = [
        module.register_forward_hook(lambda module, _, made: seen[module].append(made[0, start:].double()))
        for module in seen
    ]
    for pack in PACKS:
        for number, branch in enumerate(pack.branches):
            start = 0 if number == 0 else len(pack.prefix)
            logits(model, torch.tensor([pack.prefix + branch.prompt + branch.response]))
    for hook in hooks:
        hook.remove()

    def expected(pairs):
        roots = [torch.cat(seen[module]).square().sum(0).sqrt() for pair in pairs for module in pair]
        return sum(root / root.norm() for root in roots).tolist()

    found = measure(model, [collate(PACKS, 0)])
    assert found.hidden == pytest.approx(expected(modules), abs=1e-5)
    assert found.inter == [pytest.approx(expected([pair]), abs=1e-5) for pair in gates]
    assert found.tokens == sum(map(len, PACKS))


def test_whole_groups_go_by_their_sum():
    scores = [0.9, 0.0, 0.5, 0.5, 0.1, 0.6]
    assert most_important_groups(scores, 2, 2) == [2, 3]
    assert most_important_groups(scores, 2, 4) == [0, 1, 2, 3]
    assert most_important_groups(scores, 1, 2) == [0, 5]
    assert most_important_groups(scores, 3, 6) == list(range(6))
    assert most_important_groups([0.5] * 4, 2, 2) == [0, 1]  # of equal ones the earlier


@pytest.mark.parametrize(("granularity", "num"), [(4, 4), (2, 3), (0, 2), (2, 0), (2, 8), (2, -2)])
def test_groups_that_do_not_fit_are_refused(granularity, num):
    with pytest.raises(UserError, match="granularity|cannot keep"):
        most_important_groups([0.1] * 6, granularity, num)


def test_keeping_all_is_the_identity(model):
    before = logits(model)
    keep_channels(model, WHOLE[0], [WHOLE[1]] * 4)
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize(("hidden", "inter"), [(HIDDEN, INTER), (HIDDEN, WHOLE[1]), (WHOLE[0], INTER)])
def test_pruned_width_equals_the_hand_made_model(bpe, model, hidden, inter):
    tied, sizes = model.config.tie_word_embeddings, {"hidden_size": len(hidden), "intermediate_size": len(inter)}
    made = random_model(bpe, tied, seed=1, **sizes, head_dim=8)
    made.load_state_dict(taken(model.state_dict(), hidden, inter))
    keep_channels(model, hidden, [inter] * 4)
    assert torch.equal(logits(model), logits(made))
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    assert {name: getattr(model.config, name) for name in sizes} == sizes
    assert model.config.head_dim == 8
    assert {n: p.shape for n, p in model.named_parameters()} == {n: p.shape for n, p in made.named_parameters()}


def test_every_bias_of_a_llama_is_cut():
    bpe, changes = llama_tokenizer(), {"attention_bias": True, "mlp_bias": True}
    model = random_model(bpe, **changes)
    made = random_model(bpe, seed=1, hidden_size=12, intermediate_size=18, head_dim=8, **changes)
    made.load_state_dict(taken(model.state_dict(), HIDDEN, INTER))
    keep_channels(model, HIDDEN, [INTER] * 4)
    assert torch.equal(logits(model), logits(made))


def test_channels_that_nobody_writes_can_go(model):
    """Zeros in the hidden state only change the mean that a norm divides by: sqrt(D / K) in its weight undoes it."""
    gone = [channel for channel in WHOLE[0] if channel not in HIDDEN]
    unused = [channel for channel in WHOLE[1] if channel not in INTER]
    with torch.no_grad():
        model.model.embed_tokens.weight[:, gone] = 0
        for block in model.model.layers:
            block.self_attn.o_proj.weight[gone] = block.mlp.down_proj.weight[gone] = 0
            block.mlp.down_proj.weight[:, unused] = 0
    before = logits(model)
    keep_channels(model, HIDDEN, [INTER] * 4)
    wider = len(WHOLE[0]) / len(HIDDEN)
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "variance_epsilon"):
                module.weight *= wider**0.5
                module.variance_epsilon *= wider
    assert torch.allclose(logits(model), before, atol=1e-4)


def test_the_order_of_channels_is_nothing(model):
    """A model with its channels in another order is scored and pruned to the same function."""
    hidden, inter = ([int(i) for i in torch.randperm(len(whole))] for whole in WHOLE)
    other = deepcopy(model)
    other.load_state_dict(taken(model.state_dict(), hidden, inter))
    assert torch.allclose(logits(other), logits(model), atol=1e-4)
    scores, theirs = (measure(one, [collate(PACKS, 0)]) for one in (model, other))
    assert theirs.hidden == pytest.approx([scores.hidden[i] for i in hidden], abs=1e-5)
    assert theirs.inter == [pytest.approx([block[i] for i in inter], abs=1e-5) for block in scores.inter]
    assert theirs.layers == pytest.approx(scores.layers, abs=1e-5)
    for one, importance in ((model, scores), (other, theirs)):
        cut(one, importance, Shape(3, 20, 17))
    assert torch.allclose(logits(other), logits(model), atol=1e-4)


def test_a_llama_of_a_width_that_llama_refuses_is_a_mistral():
    model = random_model(llama_tokenizer(), False)
    keep_channels(model, list(range(30)), [INTER] * 4)
    made = loadable(model)
    assert made.config.model_type == "mistral" and made.config.sliding_window is None
    assert made.config.head_dim == 8 and made.config.vocab_size == model.config.vocab_size
    assert torch.equal(logits(made), logits(model))


def test_what_can_be_loaded_stays_what_it_is(model):
    keep_channels(model, HIDDEN, [INTER] * 4)
    assert loadable(model) is model


def test_a_llama_with_biases_of_such_a_width_is_refused():
    model = random_model(llama_tokenizer(), attention_bias=True)
    keep_channels(model, list(range(30)), [INTER] * 4)
    with pytest.raises(UserError, match="multiples of 4"):
        loadable(model)


@pytest.mark.parametrize("kept", [[], [1, 0], [0, 0], [32], [-1]])
def test_channels_that_are_not_there_are_named(kept):
    model = random_model(llama_tokenizer())
    with pytest.raises(UserError, match="hidden channels to keep: .* 0 to 31"):
        keep_channels(model, kept, [INTER] * 4)
    with pytest.raises(UserError, match="inter channels to keep: .* 0 to 47"):
        keep_channels(model, HIDDEN, [INTER, [*kept, 48], INTER, INTER])


@pytest.mark.parametrize("inter", [[INTER] * 3, [INTER, INTER, INTER, INTER[1:]], []])
def test_every_block_keeps_as_many(inter):
    with pytest.raises(UserError, match="as many in each of 4 blocks"):
        keep_channels(random_model(llama_tokenizer()), HIDDEN, inter)
