"""How long `make repro` takes, stage by stage.

    python -m benchmarks.stage_times --out benchmarks/stage_times.json

Runs `make repro` and notes when each stage begins, so what it writes is of the stages that had to run: on a fresh clone
without a cache, all of them. Runs it once more, when nothing is left to do. The commands of a stage write to the
terminal as always.
"""

import subprocess
import time
from pathlib import Path
from typing import Any

from supertiny.core.errors import UserError
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.measure.load import machine_summary


def main(out: Path) -> None:
    """Run the graph; write the minutes of every stage that ran, of all together, and the seconds of the second run."""
    times = _minutes(*_repro())
    again, started, ended = _repro()
    if again:
        raise UserError(f"the second run ran stages again: {', '.join(name for name, _ in again)}")
    write_json(out, {"machine": machine_summary(), **times, "again_seconds": round(ended - started, 1)})


def _repro() -> tuple[list[tuple[str, float]], float, float]:
    """When each stage began that had to run, and when the command began and ended."""
    started, begun = time.time(), list[tuple[str, float]]()
    with subprocess.Popen(["make", "repro"], stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("Running stage '"):
                begun.append((line.split("'")[1], time.time()))
    ended = time.time()
    if process.returncode:
        raise UserError(f"make repro failed with exit code {process.returncode}; it says above why")
    return begun, started, ended


def _minutes(begun: list[tuple[str, float]], started: float, ended: float) -> dict[str, Any]:
    """Minutes from the beginning of each stage to that of the next.

    >>> _minutes([("a", 60.0), ("b", 90.0)], 0.0, 120.0)
    {'stages': {'a': 0.5, 'b': 0.5}, 'before_the_first': 1.0, 'all': 2.0}
    """
    ends = [at for _, at in begun[1:]] + [ended]
    stages = {name: round((end - at) / 60, 2) for (name, at), end in zip(begun, ends, strict=True)}
    before = (begun[0][1] if begun else ended) - started
    return {"stages": stages, "before_the_first": round(before / 60, 2), "all": round((ended - started) / 60, 2)}


if __name__ == "__main__":
    run(main)
