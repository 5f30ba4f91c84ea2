"""Measurements that are no part of the pipeline; run them on a quiet machine."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
