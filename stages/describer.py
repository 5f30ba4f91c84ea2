"""Describer: fine-tune the large model on the API descriptions that Algorithm 1 kept (paper App. D, Table 5)."""

from pathlib import Path

from supertiny.core.config import load, load_profile, seed
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.train import TrainMachine
from supertiny.retrieval.describe import DescribeConfig, DescriberConfig, examples_to_show
from supertiny.retrieval.describer import read_lessons, train_describer


def main(base: Path, functions: Path, expert: Path, queries: Path, kept: Path, out: Path, log: Path) -> None:
    """Train `base` on the `kept` descriptions of `queries`; write the model to `out`, the loss curve to `log`."""
    cfg, asking = load("describer", DescriberConfig), load("describe", DescribeConfig)
    pool = read_functions(functions)
    shown = examples_to_show(read_examples(expert, pool), pool, asking.num_examples, seed())
    lessons = read_lessons(kept, read_examples(queries, pool), shown, pool)
    train_describer(base, lessons, out, log, cfg, load_profile("train", TrainMachine), seed())


if __name__ == "__main__":
    run(main)
