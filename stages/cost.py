"""Cost: what a request costs and what the model weighs (paper App. J)."""

from pathlib import Path

from supertiny.core.files import read_json, write_json
from supertiny.core.stage import run
from supertiny.measure.cost import cost


def main(model: Path, rates: Path, out: Path) -> None:
    """GFLOPs of a request on the workload measured in `rates`, parameters and bytes of `model`."""
    write_json(out, cost(model, read_json(rates)["workload"]))


if __name__ == "__main__":
    run(main)
