"""Shrink: a smaller model made of a larger one, of a given shape or the best within a budget (paper 3.3, Table 8)."""

from pathlib import Path

from supertiny.compress.config import ShrinkConfig
from supertiny.compress.shrink import Texts, shrink
from supertiny.core.config import load_over
from supertiny.core.files import write_json
from supertiny.core.records import read_examples
from supertiny.core.stage import run
from supertiny.sft.general import read_general
from supertiny.sft.packs import read_training_set


def main(name: str, base: Path, rows: Path, data: Path, texts: Path, out: Path, search: Path) -> None:
    """Make model `name` of `base`; it can spell `rows`, the queries in `data` and, if asked, the general `texts`.

    The model goes to `out`, the table of what was searched to `search`.
    """
    cfg = load_over(("shrink", f"trained.shrink.{name}"), ShrinkConfig)
    taught = read_training_set(data, rows)
    asked = read_examples(data / "train.jsonl", taught.pool)
    general = read_general(texts) if cfg.general_texts else None
    write_json(search, shrink(base, Texts(taught, asked, general), cfg, out))


if __name__ == "__main__":
    run(main)
