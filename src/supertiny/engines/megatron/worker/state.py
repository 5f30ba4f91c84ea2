"""The state to resume from: Megatron-Core's distributed checkpoint, which any layout of processes can read."""

import shutil
from pathlib import Path
from typing import Any

import torch
from megatron.core import dist_checkpointing
from megatron.core.models.gpt import GPTModel
from megatron.core.optimizer import USING_PYTORCH_OPTIMIZER, MegatronOptimizer
from torch import distributed as dist
from torch.distributed.checkpoint.api import CheckpointException

from supertiny.core.errors import UserError

Row = dict[str, Any]
"""of the log"""


class State:
    """The latest checkpoint of one run, in a folder that all processes see."""

    def __init__(self, folder: Path, model: GPTModel, optimizer: MegatronOptimizer) -> None:
        self._folder, self._model, self._optimizer = folder, model, optimizer

    def save(self, done: int, rows: list[Row]) -> None:
        """Keep the run after `done` steps with its log so far; what was kept before goes."""
        first, target = dist.get_rank() == 0, self._folder / f"step-{done:08d}"
        partial = target.with_name(f".{target.name}.partial")
        if first:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        dist.barrier()
        content = self._content(loading=False)
        _count(content["optimizer"], done)
        dist_checkpointing.save(content | {"done": done, "rows": rows}, str(partial))
        dist.barrier()
        if first:
            before = self._kept()
            partial.replace(target)
            for old in before:
                shutil.rmtree(old)
        dist.barrier()

    def load(self) -> tuple[int, list[Row]]:
        """Steps done and their log, with model and optimizer as they were then; without a checkpoint nothing."""
        kept = self._kept()
        if not kept:
            return 0, []
        try:
            found = dist_checkpointing.load(self._content(loading=True), str(kept[-1]))
            self._model.load_state_dict(found["model"])
            self._optimizer.load_state_dict(found["optimizer"])
        except (Exception, CheckpointException) as error:  # many kinds, and torch's own, which is no Exception
            why = (str(error).strip() or repr(error)).splitlines()[-1]
            raise UserError(f"{kept[-1]}: cannot resume from it ({why}); delete it to start over") from error
        return found["done"], found["rows"]

    def _kept(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))

    def _content(self, loading: bool) -> dict[str, Any]:
        # each block under its own name: of a frozen one there is no optimizer state
        model = self._model.sharded_state_dict(metadata={"non_homogeneous_layers": True})
        return {"model": model, "optimizer": self._optimizer.sharded_state_dict(model, is_loading=loading)}


def _count(optimizer: dict[str, Any], done: int) -> None:
    """Set the steps that Adam has taken: a first process whose parameters are all frozen has not counted them."""
    inner = optimizer.get("optimizer", optimizer)
    if USING_PYTORCH_OPTIMIZER:
        inner["state"]["common_step"] = torch.tensor(float(done))
    else:  # the fused ones count by group
        for group in inner["param_groups"]:
            group["step"] = done
