"""Trim: the fine-tuned model without the tokens that the domain neither reads nor writes (paper 3.3, beyond it)."""

from pathlib import Path

from supertiny.compress.shrink import domain_texts
from supertiny.compress.vocab import trim_vocabulary
from supertiny.core.files import whole_folder
from supertiny.core.records import read_examples
from supertiny.core.stage import run
from supertiny.model.checkpoint import load_model, load_tokenizer, save
from supertiny.sft.packs import read_training_set


def main(base: Path, functions: Path, examples: Path, dev: Path, queries: Path, out: Path) -> None:
    """Write `base` with the vocabulary of `examples` and `queries` alone to `out`; what is left keeps its logits."""
    data = read_training_set(functions, examples, dev)
    tokenizer, model = load_tokenizer(base), load_model(base)
    texts = domain_texts(data, data.packs(tokenizer), read_examples(queries, data.pool), tokenizer)
    model, tokenizer = trim_vocabulary(model, tokenizer, texts)
    with whole_folder(out) as partial:
        save(model, tokenizer, partial)


if __name__ == "__main__":
    run(main)
