"""Whether a serving engine loads our checkpoints, and answers as they answer here.

    python -m benchmarks.serving --models data/models --dataset data/dataset --vllm <python that has vLLM> \
        --out benchmarks/serving

vLLM runs in an environment of its own, since its pins and ours conflict; where it cannot run a scheme on this machine,
what it says is the result. Both sides answer the same test queries greedily and unconstrained: a float model as both
compute it in float32 must agree but for near-ties, a quantized one where the engine does what the emulation here says.
In bfloat16 ties are less near.
Each result is a file of its own in `out`, and a model that has one is not asked again. `out`.md is the table.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.kept import measured
from supertiny.core.ask import DecodeConfig, GenerateMachine, Request, requests
from supertiny.core.config import load, load_profile
from supertiny.core.files import write_text
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.engines.native.answer import generate
from supertiny.model.checkpoint import encoder, load_tokenizer
from supertiny.report.tables import number, table

QUERIES, MAX_NEW_TOKENS = 48, 48
FLOAT32 = dict.fromkeys(("sft", "tiny_kd", "p20", "p30", "w8a16", "w8a8"), "float32")
MODELS = FLOAT32 | {"w4a16": "bfloat16"}
"""name -> the floats that both compute in: vLLM runs no GPTQ in float32"""
CHILD = Path(__file__).with_name("in_vllm.py")


def main(models: Path, dataset: Path, vllm: Path, out: Path) -> None:
    """Ask each model that has no file in `out` yet, and write the table."""
    pool = read_functions(dataset / "functions.json")
    asked = requests(read_examples(dataset / "test.jsonl", pool)[:QUERIES], pool, load("prompt", PromptConfig))
    cases = {name: (models / name, dtype) for name, dtype in MODELS.items()}
    found = measured(cases, out, lambda case: measure(*case, asked, vllm))
    write_text(out.with_suffix(".md"), _table(found))


def measure(folder: Path, dtype: str, asked: Sequence[Request], vllm: Path) -> dict[str, Any]:
    """What both make of the same queries in `dtype`."""
    tokenizer = load_tokenizer(folder)
    encode = encoder(tokenizer)
    prompts = [encode(one.prompt.shared) + encode(one.prompt.own) for one in asked]
    request = {"prompts": prompts, "max_new_tokens": MAX_NEW_TOKENS, "dtype": dtype}
    command = [str(vllm), str(CHILD), str(folder)]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)
    if done.returncode:
        return {"loaded": False, "error": _reason(done.stderr)}
    answer = json.loads(done.stdout)
    decode = DecodeConfig(constrained=False, max_new_tokens=MAX_NEW_TOKENS)
    machine = load_profile("generate", GenerateMachine)
    machine.precision = dtype
    ours = [one.text.strip() for one in generate(folder, asked, decode, machine)]
    same = sum(one == other.strip() for one, other in zip(ours, answer["texts"], strict=True))
    return {"loaded": True, "engine": f"vllm {answer['version']}", "dtype": dtype, "queries": len(ours), "same": same}


def _reason(said: str) -> str:
    """The first error, and the kernels that could not do it; all after that is how the engine went down."""
    lines = [re.sub(r"^\(.*?\) ERROR .*?\] ", "", line).strip() for line in said.splitlines()]
    errors = [line for line in lines if re.match(r"\w*Error: |Value error, ", line)]
    kernels = [line for line in lines if "cannot implement" in line]
    return "; ".join(dict.fromkeys([*errors[:1], *kernels])) or said.strip()[-300:]


def _table(found: Sequence[dict[str, Any]]) -> str:
    lines = [
        [one["name"], f"{one['engine']}, {one['dtype']}", f"{number(one['same'])} of {number(one['queries'])}", ""]
        if one["loaded"]
        else [one["name"], "-", "-", one["error"]]
        for one in found
    ]
    return table(["model", "loaded by", "the same answer as here", "what it says instead"], lines) + "\n"


if __name__ == "__main__":
    run(main)
