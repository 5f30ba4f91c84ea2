"""How each serving engine is started: only options that it knows, with values that it takes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from supertiny.core.errors import UserError
from supertiny.engines.servers import kinds
from supertiny.engines.servers.hosted import Start, partial
from supertiny.engines.servers.launch import LaunchConfig, ServerConfig
from supertiny.engines.servers.trtllm import TRTLLM as HOSTED_TRTLLM
from tests import flags
from tests.project import smoke_project

SGLANG, VLLM, TRTLLM = kinds.SGLANG.kind, kinds.VLLM.kind, HOSTED_TRTLLM.kind

SERVER = ServerConfig(
    url=None,
    key_variable=None,
    tensor_parallel=2,
    data_parallel=1,
    context=2048,
    memory_share=0.85,
    host="h",
    port=1,
    start_minutes=1.0,
    retries=0,
    timeout_s=1.0,
    extra=[],
)
PROGRAMS = {name: f"envs/{name}/bin" for name in ("sglang", "vllm", "trtllm")}
START = Start(
    model="data/models/tiny_kd",
    name="tiny_kd",
    host="127.0.0.1",
    port=30000,
    precision="auto",
    at_once=128,
    cfg=SERVER,
    launch=LaunchConfig(template="{command}", programs=PROGRAMS),
    scratch=Path("/c"),
    model_type="qwen2",
    quantization={},
)
SCHEMES = {
    "fp16": ("tiny_kd", {}),
    "w8a16": ("w8a16", {"quant_method": "compressed-tensors"}),
    "w4a16": ("w4a16", {"quant_method": "gptq", "group_size": 64}),
    "w8a8": ("w8a8", {"quant_method": "compressed-tensors"}),
}


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory):
    with smoke_project(tmp_path_factory.mktemp("kinds"), lambda params, profile: None) as folder:
        yield folder


def quantized(scheme, **more) -> Start:
    name, quantization = SCHEMES[scheme]
    return replace(START, **{"model": f"data/models/{name}", "name": name, "quantization": quantization} | more)


def test_sglang_takes_its_command_line():
    python, dash_m, module, *words = SGLANG.plan(START).command
    assert (python, dash_m, module) == ("envs/sglang/bin/python", "-m", "sglang.launch_server")
    given = flags.taken(words, flags.snapshot("sglang"))
    assert (given["--model-path"], given["--served-model-name"]) == ("data/models/tiny_kd", "tiny_kd")
    assert (given["--dtype"], given["--tp-size"], given["--dp-size"]) == ("bfloat16", 2, 1)
    assert (given["--max-running-requests"], given["--mem-fraction-static"]) == (128, 0.85)
    assert not given["--disable-radix-cache"]  # prefixes are kept


def test_vllm_takes_its_command_line():
    python, dash_m, module, *words = VLLM.plan(replace(START, precision="float32")).command
    assert (python, dash_m, module) == ("envs/vllm/bin/python", "-m", "vllm.entrypoints.openai.api_server")
    given = flags.taken(words, flags.snapshot("vllm"))
    assert (given["--model"], given["--served-model-name"]) == (
        "data/models/tiny_kd",
        ["tiny_kd"],
    )  # it may have several
    assert (given["--dtype"], given["--max-model-len"], given["--max-num-seqs"]) == ("float32", "2048", 128)
    assert given["--enable-prefix-caching"] and given["--enable-prompt-tokens-details"]


@pytest.mark.parametrize("kind", [SGLANG, VLLM, TRTLLM], ids=lambda kind: kind.name)
def test_further_arguments_come_last_and_one_that_nobody_knows_is_found(kind):
    plan = kind.plan(replace(START, cfg=replace(SERVER, extra=["--not-an-option"])))
    assert plan.command[-1] == "--not-an-option"
    program = "trtllm-serve" if kind is TRTLLM else kind.name
    with pytest.raises(SystemExit):
        flags.taken(plan.command[1 if kind is TRTLLM else 3 :], flags.snapshot(program))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("family", ["qwen2", "llama", "mistral"])
def test_tensorrt_llms_programs_take_their_command_lines(scheme, family):
    """W4A16 is our GPTQ folder; W8A16 and W8A8 are made of its float base by TensorRT-LLM's own tools."""
    plan = TRTLLM.plan(quantized(scheme, model_type=family))
    served = flags.taken(plan.command[1:], flags.snapshot("trtllm-serve"))
    assert served["--kv_cache_free_gpu_memory_fraction"] == 0.85 and served["--tp_size"] == 2
    assert served["--tokenizer"] == quantized(scheme).model
    if scheme == "fp16":
        assert (served["--backend"], served["model"], plan.steps) == ("pytorch", "data/models/tiny_kd", [])
        return
    weights, engine = plan.steps
    assert (served["--backend"], served["model"]) == ("tensorrt", str(engine.out)) and engine.out.name == SCHEMES[
        scheme
    ][0]
    build = flags.taken(engine.command[1:], flags.snapshot("trtllm-build"))
    assert (build["--checkpoint_dir"], build["--output_dir"]) == (str(weights.out), str(partial(engine.out)))
    assert (build["--max_batch_size"], build["--max_seq_len"], build["--use_paged_context_fmha"]) == (
        128,
        2048,
        "enable",
    )
    converter = {"qwen2": "qwen", "llama": "llama", "mistral": "llama"}[family]
    program = "trtllm-quantize" if scheme == "w8a8" else f"trtllm-convert-{converter}"
    made = flags.taken(weights.command[2:], flags.snapshot(program))
    assert made["--output_dir"] == str(partial(weights.out)) and made["--dtype"] == "float16"
    if scheme == "w8a8":
        assert weights.command[1].endswith("quantization/quantize.py") and made["--qformat"] == "fp8_pc_pt"
        assert build["--fp8_rowwise_gemm_plugin"] == "auto" and made["--model_dir"] == "data/models/p30"
        (texts,) = [path for path in plan.files if path.suffix == ".jsonl"]
        assert made["--calib_dataset"] == str(texts.parent) and json.loads(plan.files[texts].splitlines()[0])["text"]
    else:
        assert (
            weights.command[1].endswith(f"models/core/{converter}/convert_checkpoint.py") and made["--use_weight_only"]
        )
        wanted = {"w8a16": ("int8", "data/models/p30"), "w4a16": ("int4_gptq", "data/models/w4a16")}[scheme]
        assert (made["--weight_only_precision"], made["--model_dir"]) == wanted
        assert made.get("--group_size") == (64 if scheme == "w4a16" else None)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tensorrt_llm_knows_every_key_of_its_options_file(scheme):
    plan = TRTLLM.plan(quantized(scheme))
    path = Path(plan.command[plan.command.index("--config") + 1])
    _known(yaml.safe_load(plan.files[path]), flags.snapshot("trtllm-options")["keys"])
    assert yaml.safe_load(plan.files[path])["kv_cache_config"]["enable_block_reuse"] is True


def _known(found, known):
    for key, value in found.items():
        assert key in known, f"{key}: no such key"
        if isinstance(value, dict):
            _known(value, known[key])
        elif isinstance(known[key], list):
            assert value in known[key], f"{key}: {value}"
        else:
            assert isinstance(value, {"int": int, "float": float}[known[key]]), f"{key}: {value}"


def test_engines_of_other_sizes_are_kept_apart():
    one, other = (TRTLLM.plan(quantized("w4a16", at_once=count)).steps[-1].out for count in (8, 128))
    assert one != other


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (quantized("w4a16", model_type="gpt2"), r"model_type: TensorRT-LLM converts qwen2, llama, mistral, not gpt2"),
        (replace(START, cfg=replace(SERVER, data_parallel=2)), r"data_parallel: .*one copy"),
        (
            quantized("w4a16", quantization={"quant_method": "gptq", "group_size": 32}),
            r"data/models/w4a16: .*groups of 32, and TensorRT-LLM knows 64 and 128",
        ),
        (
            replace(START, quantization={"quant_method": "gptq"}),
            r"is quantized, but params\.yaml: trained\.quantize has no 'tiny_kd'",
        ),
    ],
)
def test_what_tensorrt_llm_cannot_serve_is_refused(start, message):
    with pytest.raises(UserError, match=message):
        TRTLLM.plan(start)
