"""Student: the small model before it is taught, made of a base model by pruning, or random (paper 3.2, 3.3)."""

from pathlib import Path

from supertiny.core.config import load, load_profile, seed
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.distill.config import StudentConfig
from supertiny.distill.student import make_student
from supertiny.prompt.compressed import PromptConfig
from supertiny.sft.config import PackConfig, SftSizes


def main(name: str, base: Path, functions: Path, examples: Path, queries: Path, out: Path) -> None:
    """Make student `name` from `base`; its vocabulary is that of `examples` and `queries`."""
    cfg = load_profile(f"student_models.{name}", StudentConfig)
    packing, prompt = load("pack", PackConfig), load("prompt", PromptConfig)
    sizes = load_profile("sft", SftSizes)
    pool = read_functions(functions)
    rows = read_examples(examples, pool)[: sizes.examples or None]
    make_student(base, rows, read_examples(queries, pool), pool, out, cfg, packing, prompt, seed())


if __name__ == "__main__":
    run(main)
