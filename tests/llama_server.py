"""llama.cpp's own server, of the OpenAI protocol, started with the options of SGLang's or vLLM's.

The model is the GGUF file beside the folder that it is told. It knows JSON schemas, and none of the grammars that those
two are told.
"""

import json
import os
import signal
import sys
from pathlib import Path

import xllamacpp

from tests import flags

OPTIONS = {
    "sglang": ("--model-path", "--context-length", "--max-running-requests"),
    "vllm": ("--model", "--max-model-len", "--max-num-seqs"),
}
"""program -> what it calls model, context and requests at once"""


def main(program: str) -> None:
    given = flags.taken(sys.argv[1:], flags.snapshot(program))
    folder, context, at_once = (given[name] for name in OPTIONS[program])
    names = given["--served-model-name"]
    if record := os.environ.get("LLAMA_SERVER_RECORD"):
        with Path(record).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"pid": os.getpid(), "port": given["--port"]}) + "\n")
    params = xllamacpp.CommonParams()
    params.model.path = str(Path(folder).with_suffix(".gguf"))
    params.hostnames, params.port = [given["--host"]], given["--port"]
    params.model_alias = set(names if isinstance(names, list) else [names])
    params.n_parallel, params.n_ctx = int(at_once), int(context) * int(at_once)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    # keys and values in 32 bits, as the native engine has them
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.warmup = False
    server = xllamacpp.Server(params)
    signal.sigwait([signal.SIGTERM])
    del server


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # in its threads too
    main(sys.argv.pop(1))
