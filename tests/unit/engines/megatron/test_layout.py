"""What is checked before any worker starts: the profile's section, the model's kind, and what shares what."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from transformers import LlamaConfig, MistralConfig, Qwen2Config

from supertiny.core.errors import UserError
from supertiny.engines.megatron.layout import Layout, planned, settings
from supertiny.model.config import TrainMachine
from tests.house import ROOT, profiles

SHAPE = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 300,
}
LAUNCHER = "torchrun --nproc-per-node {processes} {worker}"


def machine(processes=1):
    return TrainMachine(
        precision="float32", max_tokens=64, gradient_checkpointing=False, save_minutes=1.0, processes=processes
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write the section of a profile and the config of a model; check both."""
    monkeypatch.chdir(tmp_path)
    Path("profiles").mkdir()
    Path("model").mkdir()
    Path("params.yaml").write_text("profile: mine\n")

    def check(config, processes=1, **section):
        section = {"tensor_parallel": 1, "pipeline_parallel": 1, "micro_batches": 1, "launcher": LAUNCHER, **section}
        Path("profiles/mine.yaml").write_text(yaml.safe_dump({"megatron": section}))
        config.save_pretrained("model")
        return settings(Path("model"), machine(processes))

    return check


def test_copies_times_stages_times_processes_that_share_a_matrix(project):
    cfg, layout = project(Qwen2Config(**SHAPE), processes=3, tensor_parallel=2, pipeline_parallel=4, micro_batches=5)
    assert layout == Layout(tensor=2, pipeline=4, data=3) and layout.processes == 24
    assert planned(machine(3), cfg).processes == 15


def test_key_heads_may_be_fewer_than_the_processes_that_share_them(project):
    """Megatron-Core then has several processes read the same key head."""
    _, layout = project(LlamaConfig(**SHAPE), tensor_parallel=4)
    assert layout.tensor == 4


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ({"tensor_parallel": 3}, {}, "megatron.tensor_parallel: model has 8 attention heads, no multiple of 3"),
        (
            {"tensor_parallel": 4},
            {"intermediate_size": 98},
            "megatron.tensor_parallel: model has 98 FFN channels, no multiple of 4",
        ),
        (
            {"tensor_parallel": 4},
            {"num_attention_heads": 12, "hidden_size": 96, "num_key_value_heads": 3},
            "megatron.tensor_parallel: model has 3 key heads, no multiple or divisor of 4",
        ),
        ({"pipeline_parallel": 3}, {}, "megatron.pipeline_parallel: model has 4 blocks, no multiple of 3"),
        ({"tensor_parallel": 0}, {}, "megatron: tensor_parallel: expected more than 0, got 0"),
        ({"launcher": "torchrun"}, {}, "megatron: launcher: expected {worker}"),
    ],
)
def test_what_cannot_be_shared_is_named_with_its_parameter(project, section, change, said):
    with pytest.raises(UserError, match=re.escape(said)):
        project(Qwen2Config(**SHAPE | change), **section)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (LlamaConfig(**SHAPE, hidden_act="gelu"), "its activation is not silu"),
        (LlamaConfig(**SHAPE, attention_bias=True), "it has biases in attention or FFN alone"),
        (LlamaConfig(**SHAPE, attention_dropout=0.1), "its attention has dropout"),
        (MistralConfig(**SHAPE), "it attends to a sliding window"),
        (Qwen2Config(**SHAPE, use_sliding_window=True, max_window_layers=0), "it attends to a sliding window"),
        (
            LlamaConfig(**SHAPE, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
            "its rope_type is 'dynamic'",
        ),
    ],
)
def test_a_model_of_another_kind_is_left_to_the_native_engine(project, config, said):
    with pytest.raises(UserError, match=f"model: engine 'megatron' cannot train it, for {said}.*; use engine 'native'"):
        project(config)


def test_another_family_and_quantized_weights_are_refused(project):
    project(Qwen2Config(**SHAPE))
    path = Path("model/config.json")
    plain = json.loads(path.read_text())
    path.write_text(json.dumps(plain | {"model_type": "gpt2"}))
    with pytest.raises(UserError, match="its model_type is 'gpt2', not one of llama, mistral, qwen2"):
        settings(Path("model"), machine())
    path.write_text(json.dumps(plain | {"quantization_config": {"quant_method": "compressed-tensors"}}))
    with pytest.raises(UserError, match="model is quantized"):
        settings(Path("model"), machine())


PUBLISHED = {
    "0.5B": {
        "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
        "sliding_window": 32768, "max_window_layers": 21, "tie_word_embeddings": True, "vocab_size": 151936,
        "num_key_value_heads": 2,
    },
    "7B": {
        "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
        "sliding_window": 131072, "max_window_layers": 28, "tie_word_embeddings": False, "vocab_size": 152064,
        "num_key_value_heads": 4,
    },
}  # fmt: skip
"""where config.json of Qwen2.5-0.5B-Instruct and of 7B differ; the rest is below, in the words of transformers 4"""


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_papers_models_are_known_by_the_config_that_the_hub_has(size, project):
    project(Qwen2Config(**SHAPE))
    shared = {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
        "hidden_act": "silu", "initializer_range": 0.02, "max_position_embeddings": 32768, "model_type": "qwen2",
        "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "torch_dtype": "bfloat16", "transformers_version": "4.43.1",
        "use_cache": True, "use_sliding_window": False,
    }  # fmt: skip
    Path("model/config.json").write_text(json.dumps(PUBLISHED[size] | shared))
    _, layout = settings(Path("model"), machine())
    assert layout == Layout(1, 1, 1)


@pytest.mark.parametrize("profile", profiles())
def test_every_profile_can_share_its_models(profile, tmp_path, monkeypatch):
    """Of Qwen2.5 these are the heads, key heads, FFN channels and blocks of 0.5B, 1.5B and 7B."""
    for heads, key_heads, channels, blocks in ((14, 2, 4864, 24), (12, 2, 8960, 28), (28, 4, 18944, 28)):
        folder = tmp_path / f"{blocks}-{heads}"
        shutil.copytree(ROOT / "profiles", folder / "profiles")
        (folder / "params.yaml").write_text(f"profile: {profile}\n")
        Qwen2Config(
            hidden_size=64 * heads,
            num_attention_heads=heads,
            num_key_value_heads=key_heads,
            intermediate_size=channels,
            num_hidden_layers=blocks,
        ).save_pretrained(folder / "model")
        monkeypatch.chdir(folder)
        settings(Path("model"), machine())
