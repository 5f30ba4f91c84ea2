"""Pruned models in a process that knows transformers alone: equal logits, and answers with a key-value cache."""

import json
import subprocess
import sys

import pytest
import torch

from supertiny.compress.cut import keep_channels, keep_layers, loadable
from supertiny.compress.vocab import trim_vocabulary
from supertiny.model.checkpoint import encoder, save
from tests.unit.compress.conftest import llama_tokenizer, qwen2_tokenizer, random_model

TEXT = "kitchen newer turn, thermostat"
READER = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
out = {}
for folder in sys.argv[2:]:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(sys.argv[1], add_special_tokens=False, return_tensors="pt")["input_ids"]
    answers = [
        model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, use_cache=cached)
        for cached in (True, False)
    ]
    with torch.inference_mode():
        out[folder] = {
            "ids": ids[0].tolist(), "logits": model(ids).logits[0].tolist(), "answers": [a[0].tolist() for a in answers]
        }
print(json.dumps(out))
"""


@pytest.mark.engine
def test_a_fresh_process_reads_what_was_pruned(tmp_path):
    made = {}
    for name, full, tied in (("llama", llama_tokenizer(), False), ("qwen2", qwen2_tokenizer(), True)):
        model, tokenizer = trim_vocabulary(random_model(full, tied), full, [TEXT])
        keep_layers(model, [0, 2, 3])
        keep_channels(model, range(30), [range(8, 48), range(40), range(40)])  # 30 is no multiple of the four heads
        model = loadable(model)
        save(model, tokenizer, tmp_path / name)
        made[str(tmp_path / name)] = model, encoder(tokenizer)(TEXT)
    done = subprocess.run([sys.executable, "-c", READER, TEXT, *made], capture_output=True, text=True, check=True)
    for folder, read in json.loads(done.stdout.splitlines()[-1]).items():
        model, ids = made[folder]
        assert read["ids"] == ids
        with torch.inference_mode():
            assert torch.equal(torch.tensor(read["logits"]), model(torch.tensor([ids])).logits[0])
        cached, whole = read["answers"]
        assert cached == whole and len(cached) > len(ids)
