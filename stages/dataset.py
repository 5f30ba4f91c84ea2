"""Dataset: queries in their context, the functions offered, and the right calls (paper 3.1, App. A, Table 1)."""

from pathlib import Path

from supertiny.core.config import load, load_profile, seed
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import must_be_writable
from supertiny.core.stage import run
from supertiny.data.build import get_source, write_dataset
from supertiny.data.dataset import DatasetConfig, DatasetSizes
from supertiny.data.skills import general, with_general
from supertiny.model.config import ModelsConfig


def main(out: Path) -> None:
    """Sample the source that params.yaml names, with general functions beside it, and write its splits to `out`."""
    cfg = load("dataset", DatasetConfig)
    sizes = load_profile("sizes.dataset", DatasetSizes)
    found = get_source(cfg.source)(cfg, sizes, seed())
    must_be_writable(found.pool, load("prompt", PromptConfig).answer)  # before anything is asked or trained
    others = general(cfg.general, sizes.general, seed(), load_profile("base", ModelsConfig).online)
    must_be_writable(others[0], load("prompt", PromptConfig).answer)
    write_dataset(out, with_general(found, others), seed())


if __name__ == "__main__":
    run(main)
