"""Glue, one verb a file. Its own checkout's `src` comes first, so queued experiments run their own code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
