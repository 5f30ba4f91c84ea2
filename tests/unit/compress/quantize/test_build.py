"""Quantized folders: whole, equal for equal inputs, and read alike by us, a new process and their own libraries."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from supertiny.compress.quantize import calibration, linear_inputs, quantize
from supertiny.core.errors import UserError
from supertiny.core.files import digest, read_json
from supertiny.core.prompt import THINKS
from supertiny.model import checkpoint
from supertiny.model.checkpoint import E4M3Linear, dequantized, read_tensors
from supertiny.model.hardware import compute_dtype
from supertiny.model.vocab import vocabulary
from tests.unit.compress.quantize.conftest import CFG, TEXT

GPTQ = pytest.param(
    "w4a16",
    marks=[pytest.mark.engine, pytest.mark.skipif(not find_spec("gptqmodel"), reason="needs gptqmodel")],
)
SCHEMES = ["w8a16", "w8a8", GPTQ]
READER = """
import json, sys
from pathlib import Path
import torch
from supertiny.model import checkpoint
found = []
for folder in map(Path, sys.argv[2:]):
    model, encode = checkpoint.load_model(folder), checkpoint.encoder(checkpoint.load_tokenizer(folder))
    ids = torch.tensor([encode(sys.argv[1])])
    with torch.inference_mode():
        logits = model(ids).logits[0].tolist()
        whole = torch.ones_like(ids)
        answer = model.generate(ids, attention_mask=whole, do_sample=False, max_new_tokens=12)[0].tolist()
    found.append([logits, answer])
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def make(tmp_path_factory):
    """Quantize a base by a scheme, once: scheme, folder, report."""

    known = {}

    def quantized(base, scheme, packs):
        if (base, scheme) not in known:
            out = tmp_path_factory.mktemp("made") / scheme
            known[base, scheme] = scheme, out, quantize(base, scheme, packs, out, CFG)
        return known[base, scheme]

    return quantized


@pytest.fixture(scope="module", params=SCHEMES)
def made(request, base, packs, make):
    return make(base, request.param, packs)


def logits(model, ids):
    with torch.inference_mode():
        return model(ids).logits


def ids(folder):
    return torch.tensor([checkpoint.encoder(checkpoint.load_tokenizer(folder))(TEXT)])


def test_the_report_says_what_was_done(made, base):
    scheme, out, report = made
    assert report["scheme"] == scheme and report["group_size"] == (None if scheme == "w8a8" else 32)
    assert report["layers"] == 2 * 7
    assert report["bytes_after"] == (out / "model.safetensors").stat().st_size < report["bytes_before"]
    assert report["calibration_examples"] == (6 if scheme == "w4a16" else 0)
    bound = {"w8a16": 0.02, "w8a8": 0.05, "w4a16": 0.3}[scheme]
    assert 0 < report["mean_error_share"] < bound and report["mean_error"] < report["max_error"]


def test_the_same_inputs_make_the_same_bytes_and_nothing_else(made, base, packs, tmp_path, monkeypatch):
    scheme, out, report = made
    monkeypatch.chdir(tmp_path)
    assert quantize(base, scheme, packs, Path("again"), CFG) == report
    assert digest(Path("again")) == digest(out)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_everything_but_the_layers_of_the_blocks_stays(made, base):
    scheme, out, _ = made
    before, after = read_tensors(base), read_tensors(out)
    layers = [f"{name}.weight" for name in linear_inputs(base)]
    assert all(name.startswith("model.layers.") for name in layers)
    loaded = compute_dtype("auto") if scheme == "w4a16" else torch.float32  # what GPTQModel read the base in
    for name in before.keys() - set(layers):  # it writes biases in half precision
        assert torch.equal(after[name], before[name].to(loaded).to(after[name].dtype))
    config, kept = read_json(base / "config.json"), read_json(out / "config.json")
    assert kept.pop("quantization_config")
    assert kept == config and kept[THINKS]
    assert vocabulary(out) == vocabulary(base)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (out / name).read_bytes() == (base / name).read_bytes()


def test_embeddings_stay_tied_where_they_were(made, base):
    tied = read_json(base / "config.json")["tie_word_embeddings"]
    model = checkpoint.load_model(made[1])
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) is tied


@pytest.mark.engine
def test_a_fresh_process_answers_as_this_one(base, packs, make):
    """One process for all schemes: it is the slow part."""
    schemes = ["w8a16", "w8a8", *(["w4a16"] if find_spec("gptqmodel") else [])]
    folders = [make(base, scheme, packs)[1] for scheme in schemes]
    command = [sys.executable, "-c", READER, TEXT, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for out, (read, answer) in zip(folders, json.loads(done.stdout.splitlines()[-1]), strict=True):
        model, prompt = checkpoint.load_model(out), ids(out)
        assert torch.equal(torch.tensor(read), logits(model, prompt)[0])
        mask = torch.ones_like(prompt)
        ours = model.generate(prompt, attention_mask=mask, do_sample=False, max_new_tokens=12)
        assert answer == ours[0].tolist() and len(answer) > prompt.shape[1]


def test_what_is_loaded_is_an_ordinary_model_with_the_weights_that_the_codes_stand_for(made, base):
    scheme, out, _ = made
    model, weights = checkpoint.load_model(out), dequantized(out).weights
    assert not hasattr(model.config, "quantization_config") and not model.training
    for name in linear_inputs(base):
        layer = model.get_submodule(name)
        assert type(layer) is (E4M3Linear if scheme == "w8a8" else nn.Linear)
        means = layer.weight * layer.scale_O[:, None] if scheme == "w8a8" else layer.weight
        assert torch.equal(means, weights[f"{name}.weight"])


def test_bfloat16_is_near_float32_and_rounds_no_code(made):
    scheme, out, _ = made
    full, half = (checkpoint.load_model(out, dtype) for dtype in (torch.float32, torch.bfloat16))
    assert half.dtype is torch.bfloat16
    expected = logits(full, ids(out))
    assert (logits(half, ids(out)).float() - expected).abs().mean() < 0.3 * expected.abs().mean()
    if scheme == "w8a8":
        name = "model.layers.0.mlp.up_proj"
        assert torch.equal(half.get_submodule(name).weight, full.get_submodule(name).weight)


@pytest.mark.parametrize("scheme", ["w8a16", "w8a8"])
def test_transformers_own_reader_has_the_same_logits(scheme, base, packs, tmp_path):
    from transformers import AutoModelForCausalLM

    quantize(base, scheme, packs, tmp_path / "out", CFG)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
    expected, found = (logits(one, ids(base)) for one in (theirs, checkpoint.load_model(tmp_path / "out")))
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert not torch.allclose(found, logits(checkpoint.load_model(base), ids(base)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scheme", [GPTQ])
def test_gptqmodels_own_reader_has_the_same_weights(scheme, base, packs, tmp_path):
    from gptqmodel import BACKEND, GPTQModel

    quantize(base, scheme, packs, tmp_path / "out", CFG)
    theirs = GPTQModel.load(str(tmp_path / "out"), device="cpu", backend=BACKEND.GPTQ_TORCH).model
    ours = dequantized(tmp_path / "out").weights
    for name in linear_inputs(base):
        layer = theirs.get_submodule(name)
        weight_IO = type(layer).dequantize_weight(layer).float()  # the instance's own compiles it first, for a minute
        assert torch.allclose(weight_IO.T, ours[f"{name}.weight"], rtol=2**-7, atol=1e-6)  # theirs are 16 bits wide


@pytest.mark.parametrize("scheme", [GPTQ])
def test_calibration_makes_the_layers_right_where_the_examples_are(scheme, base, packs, tmp_path):
    """GPTQ's weights are farther from the float ones than rounded ones, its outputs on the examples nearer."""
    quantize(base, scheme, packs, tmp_path / "out", replace(CFG, calibration_examples=8))
    name, read = "model.layers.0.self_attn.q_proj", {}
    before, after = read_tensors(base)[f"{name}.weight"], dequantized(tmp_path / "out").weights[f"{name}.weight"]
    model = checkpoint.load_model(base)
    model.get_submodule(name).register_forward_hook(lambda layer, given, out: read.update(x=given[0]))
    logits(model, torch.tensor([calibration(packs, 1)[0][0]]))
    scale = before.unflatten(-1, (-1, 32)).abs().amax(-1, keepdim=True) / 7.5
    nearest = ((before.unflatten(-1, (-1, 32)) / scale).round().clamp(-8, 7) * scale).flatten(-2)
    error = {at: float((read["x"] @ (weight - before).T).pow(2).sum()) for at, weight in ((0, nearest), (1, after))}
    assert error[1] < error[0]


def test_calibration_reads_whole_packs_in_order(packs):
    first, *_ = packs
    texts, examples = calibration(packs, 1)
    assert texts == [[*first.prefix, *(index for one in first.branches for index in one.prompt + one.response)]]
    assert examples == len(first.branches) == 2
    texts, examples = calibration(packs, 3)
    assert len(texts) == 2 and examples == 4
    assert calibration(packs, 99)[1] == 8  # all there are
    with pytest.raises(UserError, match="no training example"):
        calibration([], 1)


def test_a_quantized_base_is_refused(made, packs, tmp_path):
    with pytest.raises(UserError, match="is quantized already"):
        quantize(made[1], "w8a16", packs, tmp_path / "out", CFG)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"quant_method": "bitsandbytes"}, "'bitsandbytes' cannot be read here"),
        ({"quant_method": "gptq", "bits": 3}, "expected GPTQ of 4 bits"),
        ({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, "expected one scheme of format"),
    ],
)
def test_foreign_recipes_are_refused_in_one_line(changed, message, base, packs, tmp_path):
    quantize(base, "w8a16", packs, tmp_path, CFG)
    path = tmp_path / "config.json"
    config = read_json(path)
    config["quantization_config"] = (config["quantization_config"] if "format" in changed else {}) | changed
    path.write_text(json.dumps(config))
    with pytest.raises(UserError, match=message):
        checkpoint.load_model(tmp_path)


def test_a_folder_without_some_weights_is_refused(base, packs, tmp_path):
    from safetensors.torch import save_file

    quantize(base, "w8a16", packs, tmp_path, CFG)
    tensors = read_tensors(tmp_path)
    del tensors["model.norm.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="has no weights for model.norm.weight"):
        checkpoint.load_model(tmp_path)


def test_without_gptqmodel_the_package_is_named(base, packs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gptqmodel", None)
    with pytest.raises(UserError, match=r"needs the package gptqmodel: pip install 'supertiny\[quantize\]'"):
        quantize(base, "w4a16", packs, tmp_path / "out", CFG)
