"""How many processes share a model and who starts them, as the profile says it."""

import re
import shlex
from dataclasses import dataclass

from supertiny.core.config import require_positive
from supertiny.core.errors import UserError

PLACES = ("python", "processes", "worker", "job", "folder", "source")


_PLACE = re.compile(r"(?<!\$)\{(\w+)\}")
"""not ${name}, which a remote shell reads"""


def must_start_workers(launcher: str) -> None:
    """An error if `launcher` is no command line, or one that cannot run a job."""
    try:
        words = shlex.split(launcher)
    except ValueError as error:
        raise UserError(f"launcher: not a command line ({error}): {launcher}") from None
    found = {name for word in words for name in _PLACE.findall(word)}
    if unknown := found - set(PLACES):
        known = ", ".join(f"{{{name}}}" for name in PLACES)
        raise UserError(f"launcher: {{{min(unknown)}}} stands for nothing; known are {known}")
    if not found & {"worker", "job"}:
        raise UserError(f"launcher: expected {{worker}}, what torchrun is to run, in it: {launcher}")


@dataclass(kw_only=True, slots=True)
class MegatronConfig:
    """Section `megatron` of the profile."""

    tensor_parallel: int
    """processes that share each matrix: their number divides attention heads and FFN channels"""
    pipeline_parallel: int
    """stages that share the blocks: their number divides the blocks"""
    micro_batches: int
    """that a model's share of a step is cut into, at least: as many as stages, or more, keep all stages busy"""
    launcher: str
    """the command that starts the workers, see `_launch`"""

    def __post_init__(self) -> None:
        require_positive(self, "tensor_parallel", "pipeline_parallel", "micro_batches")
        must_start_workers(self.launcher)
