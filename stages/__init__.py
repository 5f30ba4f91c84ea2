"""Glue, one verb a file. Its own checkout's `src` comes first, so queued experiments run their own code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

if sys.argv[0] == "-m":  # `python -m stages.<name>`, as dvc.yaml starts it
    try:
        import supertiny.core.config  # noqa: F401
    except ModuleNotFoundError as error:  # dvc is another environment's, or a shell's that has entered none
        remedy = "enter the environment that `make repro` makes: source .venv/bin/activate"
        sys.exit(f"error: {sys.executable} has no package {error.name}; {remedy}")
