"""How a TensorRT-LLM server is started (1.2), and told a grammar; settings of App. H.

A float model is served as it is (backend pytorch). Version 1.2 reads none of our quantized folders as they are, so an
engine is built first: a GPTQ folder (W4A16) is converted, for W8A16 and W8A8 the folder's float base is quantized by
TensorRT-LLM's own tools, int8 by channel and FP8 by channel and token. Engines are kept by content.
"""

import json
from pathlib import Path

from supertiny.compress.config import QuantizedConfig
from supertiny.core.config import load_each, load_profile
from supertiny.core.errors import UserError
from supertiny.engines.servers.answer import Hosted
from supertiny.engines.servers.hosted import Kind, Plan, Start, Step, partial
from supertiny.engines.servers.launch import TrtllmConfig, program

MAX_NUM_TOKENS = 8192
"""of one forward pass, over all requests: TensorRT-LLM's own default"""
SCRIPTS = {"qwen2": "qwen", "llama": "llama", "mistral": "llama"}
"""model_type of config.json -> folder of the converter, under examples/models/core"""
GROUP_SIZES = (64, 128)
"""of int4 weights, that its kernels know (NVIDIA/TensorRT-LLM, issue 988)"""
ANY_TEXT = "Turn on the light in the kitchen."
"""what the FP8 tool runs the model on: its scales are of the weights alone, activations are scaled at run time"""
ANY_TEXTS = 8


def plan(start: Start) -> Plan:
    """`trtllm-serve serve ...`, after what builds its engine where the model is quantized."""
    cfg = load_profile("trtllm", TrtllmConfig)
    if start.cfg.data_parallel != 1:
        raise UserError("profile: servers: data_parallel: a TensorRT-LLM server holds one copy of a model; set it to 1")
    made = load_each("trained.quantize", QuantizedConfig, empty=True).get(Path(start.model).name)
    if start.quantization and not made:
        name = Path(start.model).name
        raise UserError(f"{start.model} is quantized, but params.yaml: trained.quantize has no {name!r}")
    options = start.scratch / "options.yaml"
    steps, files = _engine(start, cfg, made) if made else ([], {})
    model = steps[-1].out if made else start.model
    command = [program("trtllm", "trtllm-serve", start.launch), "serve", str(model), "--tokenizer", start.model]
    command += ["--backend", "tensorrt" if made else "pytorch", "--host", start.host, "--port", str(start.port)]
    command += ["--max_batch_size", str(start.at_once), "--max_num_tokens", str(MAX_NUM_TOKENS)]
    command += ["--max_seq_len", str(start.cfg.context), "--tp_size", str(start.cfg.tensor_parallel)]
    command += ["--kv_cache_free_gpu_memory_fraction", str(start.cfg.memory_share), "--config", str(options)]
    written = {options: json.dumps(_options(start, cfg, built=bool(made)), indent=1), **files}  # JSON is YAML
    return Plan([*command, *start.cfg.extra], steps, written)


def _options(start: Start, cfg: TrtllmConfig, built: bool) -> dict[str, object]:
    """What the command line has no option for: prefixes are kept and shared, replies follow a grammar, graphs."""
    options: dict[str, object] = {
        "guided_decoding_backend": "xgrammar",
        "kv_cache_config": {"enable_block_reuse": True, "free_gpu_memory_fraction": start.cfg.memory_share},
    }
    if not built:
        options["dtype"] = cfg.precision
    if cfg.cuda_graphs and built:
        options["extended_runtime_perf_knob_config"] = {
            "cuda_graph_mode": True,
            "cuda_graph_cache_size": start.at_once,
        }
    elif cfg.cuda_graphs:
        options["cuda_graph_config"] = {"max_batch_size": start.at_once, "enable_padding": True}
    return options


def _engine(start: Start, cfg: TrtllmConfig, made: QuantizedConfig) -> tuple[list[Step], dict[Path, str]]:
    """(the two programs that build it, the files they read)."""
    sizes = f"b{start.at_once}-c{start.cfg.context}-tp{start.cfg.tensor_parallel}-{cfg.precision}"
    weights, engine = start.scratch / f"weights-tp{start.cfg.tensor_parallel}", start.scratch / sizes / start.name
    texts = start.scratch / "texts" / "train.jsonl"
    command, files = _converted(start, cfg, made, weights, texts)
    build = [program("trtllm", "trtllm-build", start.launch), "--checkpoint_dir", str(weights)]
    build += ["--output_dir", str(partial(engine)), "--max_batch_size", str(start.at_once)]
    build += ["--max_input_len", str(start.cfg.context), "--max_seq_len", str(start.cfg.context)]
    build += ["--max_num_tokens", str(MAX_NUM_TOKENS), "--kv_cache_type", "paged", "--gemm_plugin", "auto"]
    build += ["--remove_input_padding", "enable", "--use_paged_context_fmha", "enable"]
    build += ["--fp8_rowwise_gemm_plugin", "auto"] if made.scheme == "w8a8" else []
    build += ["--workers", str(start.cfg.tensor_parallel)]
    return [Step(command, weights), Step(build, engine)], files


def _converted(
    start: Start, cfg: TrtllmConfig, made: QuantizedConfig, weights: Path, texts: Path
) -> tuple[list[str], dict[Path, str]]:
    """(what writes TensorRT-LLM's weights, the files it reads)."""
    python, examples = program("trtllm", "python", start.launch), Path(cfg.examples)
    base = Path(start.model).parent / made.base
    source = start.model if made.scheme == "w4a16" else str(base)
    common = ["--model_dir", source, "--output_dir", str(partial(weights)), "--dtype", cfg.precision]
    common += ["--tp_size", str(start.cfg.tensor_parallel)]
    if made.scheme == "w8a8":
        how = ["--qformat", "fp8_pc_pt", "--calib_dataset", str(texts.parent), "--calib_size", str(ANY_TEXTS)]
        lines = "".join(json.dumps({"text": ANY_TEXT}) + "\n" for _ in range(ANY_TEXTS))
        return [python, str(examples / "quantization" / "quantize.py"), *common, *how], {texts: lines}
    if start.model_type not in SCRIPTS:
        known = ", ".join(SCRIPTS)
        raise UserError(
            f"{start.model}: config.json: model_type: TensorRT-LLM converts {known}, not {start.model_type}"
        )
    if made.scheme == "w4a16" and start.quantization["group_size"] not in GROUP_SIZES:
        raise UserError(
            f"{start.model}: its int4 weights are in groups of {start.quantization['group_size']}, and TensorRT-LLM "
            f"knows {' and '.join(map(str, GROUP_SIZES))}; serve it with sglang or vllm"
        )
    script = examples / "models" / "core" / SCRIPTS[start.model_type] / "convert_checkpoint.py"
    how = ["--use_weight_only", "--weight_only_precision", "int8" if made.scheme == "w8a16" else "int4_gptq"]
    how += ["--per_group", "--group_size", str(start.quantization["group_size"])] if made.scheme == "w4a16" else []
    return [python, str(script), *common, *how], {}


TRTLLM = Hosted(Kind("trtllm", plan, lambda ebnf: {"response_format": {"type": "ebnf", "ebnf": ebnf}}, prepares=True))
