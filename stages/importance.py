"""Importance: how much each block and channel of a model matters, measured once for all pruned ones (paper App. I)."""

from pathlib import Path

from supertiny.compress.importance import write_importance
from supertiny.compress.search import PruneConfig
from supertiny.compress.shrink import measured
from supertiny.core.config import load
from supertiny.core.stage import run
from supertiny.sft.packs import read_training_set


def main(base: Path, functions: Path, examples: Path, dev: Path, out: Path) -> None:
    """Measure `base` on the first training prompts; write the scores to `out`."""
    cfg = load("prune", PruneConfig)
    write_importance(out, measured(base, read_training_set(functions, examples, dev), cfg))


if __name__ == "__main__":
    run(main)
