"""Real workers on gloo: what they hold of a checkpoint, and loss and gradients of a step, against transformers."""

import json
import os
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

from supertiny.engines.megatron.layout import SOURCE, Layout
from supertiny.engines.megatron.train import FILE, WorkerJob
from supertiny.model.batches import Branch, Pack, collate
from supertiny.model.config import FitConfig, FrozenConfig, TrainingConfig, TrainMachine
from supertiny.model.finetune import freeze
from supertiny.model.train import Job, ResponseLogits, cross_entropy

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(find_spec("megatron") is None, reason="Megatron-Core is not installed"),
]

SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 300,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1e4,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS = {
    "qwen2": Qwen2Config(**SHAPE, tie_word_embeddings=False),
    "qwen2-tied": Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "qwen2-hub": Qwen2Config(**SHAPE, tie_word_embeddings=False),
    "llama": LlamaConfig(**SHAPE, head_dim=10, rope_parameters=LLAMA3, tie_word_embeddings=False),
    "llama-tied": LlamaConfig(**SHAPE | {"num_key_value_heads": 1}, tie_word_embeddings=True),
    "pruned": MistralConfig(**SHAPE | {"hidden_size": 34}, head_dim=8, sliding_window=None),
    "llama-biases": LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True),
}
HUB = "qwen2-hub"
"""kept as the hub has Qwen2.5: in bfloat16, in several files"""
LAYOUTS = {"tensor": Layout(2, 1, 1), "pipeline": Layout(1, 2, 1), "data": Layout(1, 1, 2)}
FIT = FitConfig(learning_rate=1e-3, warmup_share=0.1, schedule="linear", weight_decay=0.01, max_grad_norm=1.0)
FROZEN = {
    "": FrozenConfig(embeddings=False, blocks=0.0, prefix=False),
    "-frozen": FrozenConfig(embeddings=True, blocks=0.5, prefix=True),
}
PAD = 0


def pack(seed, *lengths):
    """One prefix and a branch of each length, its last three tokens the response."""
    draw = torch.Generator().manual_seed(seed)
    one, *others = [torch.randint(1, 300, (length,), generator=draw).tolist() for length in lengths]
    return Pack(one, tuple(Branch(tokens[:-3], tokens[-3:]) for tokens in others))


STEP = [[pack(1, 20, 6, 9)], [pack(2, 9, 5), pack(3, 30, 8, 4, 12)], [pack(4, 70, 7, 7)]]
"""three micro-batches of unequal numbers of rows and tokens: one of two copies has one less"""
DEV = [[pack(5, 11, 6)]]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Every model on every layout: a folder with what its workers wrote."""
    top = tmp_path_factory.mktemp("worker")
    for name, config in MODELS.items():
        torch.manual_seed(len(name))
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        size = "20KB" if name == HUB else "1GB"
        model.to(torch.bfloat16 if name == HUB else torch.float32).save_pretrained(top / name, max_shard_size=size)
    for kind, layout in LAYOUTS.items():
        folders = [_job(top, name, kind, layout, frozen) for name in MODELS for frozen in FROZEN]
        folders += [_job(top, "qwen2-tied", kind, layout, "", gradient_checkpointing=True)]
        folders += [_job(top, "qwen2-tied", kind, layout, "-frozen", gradient_checkpointing=True)]
        folders += [_job(top, "llama", kind, layout, "", precision="bfloat16")]
        _torchrun(layout.processes, folders)
    return top


def _job(top, name, kind, layout, frozen, precision="float32", gradient_checkpointing=False):
    folder = top / f"{name}{frozen}{'-again' * gradient_checkpointing}-{precision}-{kind}"
    folder.mkdir()
    machine = TrainMachine(
        precision=precision,
        max_tokens=64,
        gradient_checkpointing=gradient_checkpointing,
        save_minutes=60.0,
        processes=layout.data,
    )
    job = WorkerJob(
        job=Job(top / name, folder, folder, machine),
        cfg=TrainingConfig(
            shuffle_seed=0, epochs=1, groups_a_step=1, frozen=FROZEN[frozen], dev_points=1, fit=FIT
        ),
        layout=layout, seed=0, pad_id=PAD, steps=[STEP], dev=DEV, teaching=None, record={},
    )  # fmt: skip
    (folder / FILE).write_bytes(pickle.dumps(job))
    return folder


def _torchrun(processes, folders):
    program = Path(__file__).parent / "gradients.py"
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), program, *folders]
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def tensors(folder, files):
    return {name: value.float() for file in folder.glob(files) for name, value in load_file(file).items()}


def exported(folder):
    return tensors(folder, "stage-*.safetensors")


def native(folder, frozen, dtype=torch.float32):
    """Mean loss, dev loss and gradients of the model in `folder`, in this process."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32)
    freeze(model, FROZEN[frozen])
    scorer, total, count = ResponseLogits(model, FROZEN[frozen].prefix), 0.0, 0
    for packs in STEP:
        batch = collate(packs, PAD)
        with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
            total = total + cross_entropy(scorer(batch), batch)
        count += len(batch.targets)
    (total / count).backward()
    with torch.no_grad():
        dev = cross_entropy(scorer(batch := collate(DEV[0], PAD)), batch) / len(batch.targets)
    gradients = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    return total.item() / count, dev.item(), gradients


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("name", MODELS)
def test_weights_come_back_bit_for_bit(found, name, kind):
    before = tensors(found / name, "model*.safetensors")
    after = exported(found / f"{name}-float32-{kind}" / "loaded")
    assert (len(list((found / name).glob("*.safetensors"))) > 1) == (name == HUB)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[one], before[one]) for one in before)


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize(
    "case",
    [*((name, frozen, "") for name in MODELS for frozen in FROZEN), *(("qwen2-tied", f, "-again") for f in FROZEN)],
)
def test_loss_and_gradients_are_those_of_the_native_engine(found, case, kind):
    name, frozen, again = case
    folder = found / f"{name}{frozen}{again}-float32-{kind}"
    loss, dev, gradients = native(found / name, frozen)
    losses = json.loads((folder / "losses.json").read_text())
    assert losses["loss"] == pytest.approx(loss, rel=1e-6)
    assert losses["dev"] == pytest.approx(dev, abs=1e-5)
    shared = exported(folder)
    assert shared.keys() == gradients.keys()
    for one, gradient in gradients.items():
        torch.testing.assert_close(shared[one], gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_bfloat16_differs_by_its_rounding_and_keeps_fp32_masters(found, kind):
    folder = found / f"llama-bfloat16-{kind}"
    before = load_file(found / "llama" / "model.safetensors")
    after = exported(folder / "loaded")
    assert all(torch.equal(after[one], before[one]) for one in before), "not rounded to bfloat16"
    loss, _, gradients = native(found / "llama", "")
    assert json.loads((folder / "losses.json").read_text())["loss"] == pytest.approx(loss, rel=1e-2)
    shared = exported(folder)
    for one, gradient in gradients.items():
        cosine = torch.nn.functional.cosine_similarity(shared[one].flatten(), gradient.flatten(), dim=0)
        assert cosine > 0.98, one
