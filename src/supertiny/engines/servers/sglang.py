"""How an SGLang server is started (0.5.23), and told a grammar."""

from supertiny.engines.servers.hosted import Kind, Plan, Start, dtype
from supertiny.engines.servers.launch import program


def plan(start: Start) -> Plan:
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


KIND = Kind("sglang", plan, lambda ebnf: {"ebnf": ebnf})
