"""The snapshots are what the installed packages say, and their own parsers take our command lines, where they are here.

Both packages are heavy and their pins conflict with ours, so they are rarely in this environment; `tests.make_flags`
makes the snapshots in one that has them.
"""

import pytest

from supertiny.engines.servers import kinds
from tests import flags, make_flags
from tests.unit.engines.test_kinds import START

SGLANG, VLLM = kinds.SGLANG.kind, kinds.VLLM.kind


def test_sglang():
    pytest.importorskip("sglang.srt.server_args", reason="sglang is not installed here")
    known, _, options = make_flags.sglang()
    assert (known, options) == (flags.snapshot("sglang")["version"], flags.snapshot("sglang")["options"])
    from sglang.srt.server_args import prepare_server_args

    prepare_server_args(SGLANG.plan(START).command[3:])


def test_vllm():
    pytest.importorskip("vllm", reason="vllm is not installed here")
    known, _, options = make_flags.vllm()
    assert (known, options) == (flags.snapshot("vllm")["version"], flags.snapshot("vllm")["options"])
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    make_arg_parser(FlexibleArgumentParser()).parse_args(VLLM.plan(START).command[3:])
