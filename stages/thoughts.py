"""Thoughts: rule-made chains of thought for training examples, where the model cannot write its own yet (App. B)."""

from pathlib import Path

from supertiny.core.config import load_profile
from supertiny.core.stage import run
from supertiny.rl.config import ThoughtSizes
from supertiny.rl.thoughts import trace, write_traces
from supertiny.sft.packs import read_training_set


def main(functions: Path, examples: Path, dev: Path, out: Path) -> None:
    """Write to `out` a thought that leads to the label of each of the first `examples` and of all of `dev`."""
    data, sizes = read_training_set(functions, examples, dev), load_profile("thoughts", ThoughtSizes)
    write_traces(out, [trace(row, data.pool) for row in [*data.examples[: sizes.rule or None], *data.dev]])


if __name__ == "__main__":
    run(main)
