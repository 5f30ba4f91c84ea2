"""Prune: leave out what matters least, in the shape that reads the domain best within a budget (paper 3.3, Table 8)."""

from pathlib import Path

from supertiny.compress.importance import read_importance
from supertiny.compress.search import PruneConfig, PrunedConfig
from supertiny.compress.shrink import prune
from supertiny.core.config import load
from supertiny.core.files import write_json
from supertiny.core.records import read_examples
from supertiny.core.stage import run
from supertiny.model.checkpoint import load_tokenizer
from supertiny.sft.general import pieces, read_general
from supertiny.sft.packs import read_training_set


def main(
    name: str,
    base: Path,
    importance: Path,
    functions: Path,
    examples: Path,
    dev: Path,
    queries: Path,
    texts: Path,
    out: Path,
    search: Path,
) -> None:
    """Prune `base` to the budget of `name`, its vocabulary to `examples`, `queries` and the general `texts`.

    The search's table goes to `search`.
    """
    cfg, budget = load("prune", PruneConfig), load(f"pruned.{name}", PrunedConfig)
    data = read_training_set(functions, examples, dev)
    asked, others = read_examples(queries, data.pool), pieces(read_general(texts), load_tokenizer(base))
    write_json(search, prune(base, data, asked, others, read_importance(importance), cfg, budget, out))


if __name__ == "__main__":
    run(main)
