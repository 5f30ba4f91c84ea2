"""Base: bring the pretrained models into the project, from wherever the profile says."""

from pathlib import Path

from supertiny.core.config import load_profile, seed
from supertiny.core.stage import run
from supertiny.model.config import ModelsConfig
from supertiny.model.sources import fetch

ROLES = ("llm", "student", "encoder")


def main(out: Path) -> None:
    """Fetch what the profile names for each role into a folder of that name in `out`."""
    for role in ROLES:
        one(role, out / role)


def one(role: str, out: Path) -> None:
    """Fetch one of them into `out`."""
    models = load_profile("base", ModelsConfig)
    fetch(models.source(role), out, models.online, seed())


if __name__ == "__main__":
    run(main)
