"""Base: bring a pretrained model into the project, from wherever the profile says."""

from pathlib import Path

from supertiny.core.config import load_profile, seed
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.model.sources import ModelsConfig, fetch, identity


def main(role: str, out: Path, card: Path) -> None:
    """Fetch what the profile names for `role` (llm, student or encoder) into `out`; its identity goes to `card`."""
    models = load_profile("models", ModelsConfig)
    source = models.source(role)
    fetch(source, out, models.online, seed())
    write_json(card, {"source": source, **identity(out)})


if __name__ == "__main__":
    run(main)
