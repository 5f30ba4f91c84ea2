"""Small models of both architectures, tied and untied, under BPE tokenizers with real merges."""

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
)

from supertiny.compress.config import Granularity, ShrinkConfig

TEXT = "turn on the kitchen light off lower newer wider kitchens lights turning thermostat to degrees"
WORDS = TEXT.split()
CORPUS = [" ".join(WORDS[at:] + WORDS[:at]) for at in range(len(WORDS))] * 3
END, START, CALL = "<|endoftext|>", "<|im_start|>", "<tool_call>"
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


def trained(specials):
    """A byte-level BPE with about 90 merges, special tokens first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(specials) + 346, initial_alphabet=alphabet, special_tokens=specials, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def llama_tokenizer():
    """Special tokens lead the vocabulary, and one stands before every text."""
    tokenizer = trained([END, START, "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{START} $A", special_tokens=[(START, 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token=END, unk_token="<unk>"
    )


def qwen2_tokenizer():
    """Added tokens follow the vocabulary, one of them not special."""
    bpe = json.loads(trained([]).to_str())["model"]
    tokenizer = Qwen2Tokenizer(bpe["vocab"], [tuple(pair) for pair in bpe["merges"]], eos_token=START)
    tokenizer.add_tokens([CALL])
    return tokenizer


@pytest.fixture(scope="session", params=["llama", "qwen2"])
def bpe(request):
    return {"llama": llama_tokenizer, "qwen2": qwen2_tokenizer}[request.param]()


def shrinking(**changes):
    """How to shrink: a search within 70 % of the weights, single channels unless told otherwise."""
    ones = {"granularity": Granularity(hidden=1, inter=1), "groups": Granularity(hidden=1, inter=1)}
    given = {
        "base": "sft",
        "blocks": 1.0,
        "channels": 1.0,
        "trim_vocabulary": True,
        "general_texts": False,
        "init": None,
    }
    budget = {"of": "parameters", "share": 0.7, "at_most": None, "axes": ["depth", "width"]}
    return ShrinkConfig(
        **ones
        | given
        | budget
        | {"calibration_packs": 24, "score_packs": 8, "inter_by": "activations", "own_inter": True}
        | changes
    )


def random_model(tokenizer, tied=True, layers=4, seed=0, **changes):
    """A model of the tokenizer's architecture with seven padded rows, every weight random (biases and norms too)."""
    torch.manual_seed(seed)
    qwen = isinstance(tokenizer, Qwen2Tokenizer)
    kind, config = (Qwen2ForCausalLM, Qwen2Config) if qwen else (LlamaForCausalLM, LlamaConfig)
    model = kind(
        config(
            **SIZES | {"num_hidden_layers": layers} | changes,
            vocab_size=len(tokenizer) + 7,
            tie_word_embeddings=tied,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(1 if parameter.ndim == 1 else 0, 0.2)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    return model.eval()
