"""What every picture shares: its style, its colours, and an SVG with the same bytes from the same numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from supertiny.core.files import whole_file

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, told apart by everyone"""
MARKERS = "osD^vPX*<>"
STYLE: Any = {
    "svg.hashsalt": "supertiny",
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


@contextmanager
def canvas(out: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of `width` x `height` inches to draw on; on success it becomes the SVG `out`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        yield figure
        with whole_file(out) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None})
