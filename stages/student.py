"""Student: the small model before it is taught, made of a base model by pruning, or random (paper 3.2, 3.3)."""

from pathlib import Path

from supertiny.compress.shrink import StudentConfig, make_student
from supertiny.core.config import load_profile
from supertiny.core.records import read_examples
from supertiny.core.stage import run
from supertiny.sft.packs import read_training_set


def main(name: str, base: Path, functions: Path, examples: Path, dev: Path, queries: Path, out: Path) -> None:
    """Make student `name` from `base`; its vocabulary is that of `examples` and `queries`."""
    cfg = load_profile(f"student_models.{name}", StudentConfig)
    data = read_training_set(functions, examples, dev)
    make_student(base, data, read_examples(queries, data.pool), out, cfg)


if __name__ == "__main__":
    run(main)
