"""Where the graph puts what the commands take."""

from pathlib import Path

from supertiny.core.errors import UserError

HOME, DATA = Path("data/models"), Path("data/dataset")


def model_folder(home: Path, name: str, option: str) -> Path:
    """The folder of model `name`; `option` is what named it."""
    folder = home / name
    if not (folder / "config.json").is_file():
        raise UserError(f"{option}: there is no model in {folder}; make it with `dvc repro`")
    return folder
