"""One stage on several processes: it starts itself again under torchrun."""

import os
import sys


def on_processes(count: int) -> None:
    """Where `count` is more than 1 and this is not yet one of them: replace this process by `count` of its kind."""
    if count == 1 or "LOCAL_RANK" in os.environ:
        return
    module = sys.modules["__main__"].__spec__
    assert module is not None, "stages run as `python -m stages.<name>`"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    os.execv(sys.executable, [*torchrun, "-m", "--", module.name, *sys.argv[1:]])


def is_first() -> bool:
    """Whether this process writes the results."""
    return os.environ.get("RANK", "0") == "0"
