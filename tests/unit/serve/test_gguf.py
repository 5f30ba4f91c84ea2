"""What other programs read of a GGUF file is the model that was written: logits, tokens, sizes."""

import json
import subprocess
import sys

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from supertiny.compress.cut import keep_channels, loadable
from supertiny.core.errors import UserError
from supertiny.model import checkpoint
from supertiny.serve.export import write_gguf
from tests.unit.compress.conftest import llama_tokenizer, qwen2_tokenizer, random_model

TEXT = "turn on the lamp, 21 degrees & héllo"


def written(tmp_path, tokenizer, **changes):
    model = random_model(tokenizer, **changes)
    checkpoint.save(model, tokenizer, tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf")
    return model


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("make", [llama_tokenizer, qwen2_tokenizer])
def test_what_is_read_back_says_the_same(tmp_path, make, tied):
    tokenizer = make()
    model = written(tmp_path, tokenizer, tied=tied)
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf").eval()
    assert torch.allclose(logits(read, ids), logits(model, ids), atol=1e-5)
    again = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    assert again(TEXT, add_special_tokens=False)["input_ids"] == ids


IN_LLAMA_CPP = """
import json, sys
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.warmup = sys.argv[1], 512, False
params.cpuparams.n_threads = 1
asked = {"prompt": json.loads(sys.argv[2]), "max_tokens": 12, "temperature": 0.0, "return_tokens": True, "n_probs": 1}
said = xllamacpp.Server(params).handle_completions(asked)
print("SAID", json.dumps(said if isinstance(said, dict) else json.loads(said)))
"""


@pytest.mark.parametrize("make", [llama_tokenizer, qwen2_tokenizer])
def test_llama_cpp_goes_on_as_transformers_does(tmp_path, make):
    """Its own process: it prints and stays resident."""
    pytest.importorskip("xllamacpp")
    tokenizer = make()
    model = written(tmp_path, tokenizer)
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    command = [sys.executable, "-c", IN_LLAMA_CPP, str(tmp_path / "model.gguf"), json.dumps(TEXT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("SAID")]
    said = json.loads(line.removeprefix("SAID "))["choices"][0]["logprobs"]["content"]
    for one in said:
        log_p = logits(model, ids)[0, -1].log_softmax(-1)
        assert one["id"] == log_p.argmax()
        assert one["logprob"] == pytest.approx(float(log_p.max()), abs=0.01)  # its keys and values are in 16 bits
        ids.append(one["id"])
    assert len(said) >= 10  # bytes that end no character are kept back


def test_tokens_and_their_kinds_are_all_there(tmp_path):
    tokenizer = qwen2_tokenizer()
    written(tmp_path, tokenizer)
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    assert tokens[: len(tokenizer)] == tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    assert tokens[len(tokenizer) :] == [f"[PAD{len(tokenizer) + at}]" for at in range(7)]
    kinds = fields["tokenizer.ggml.token_type"].contents()
    assert kinds[-7:] == [gguf.TokenType.UNUSED] * 7
    assert kinds[tokenizer.eos_token_id] == gguf.TokenType.CONTROL
    assert fields["tokenizer.ggml.eos_token_id"].contents() == tokenizer.eos_token_id


def test_a_pruned_llama_that_is_a_mistral_here_is_a_llama_there(tmp_path):
    tokenizer = llama_tokenizer()
    model = random_model(tokenizer)
    keep_channels(model, range(30), [range(40)] * len(model.model.layers))
    model = loadable(model)
    assert model.config.model_type == "mistral"
    checkpoint.save(model, tokenizer, tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf")
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    assert reader.fields["general.architecture"].contents() == "llama"
    assert reader.fields["llama.embedding_length"].contents() == 30
    sizes = {tensor.name: [int(size) for size in tensor.shape] for tensor in reader.tensors}
    assert sizes["blk.0.attn_q.weight"][0] == 30 and sizes["blk.0.ffn_gate.weight"] == [30, 40]


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path):
    tokenizer = llama_tokenizer()
    with pytest.raises(UserError, match="without biases but Qwen2's own"):
        written(tmp_path, tokenizer, attention_bias=True)
    assert not (tmp_path / "model.gguf").exists()
