"""The processes of one run, and where this one stands among them."""

import os
from dataclasses import dataclass

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel.random import model_parallel_cuda_manual_seed
from torch import Tensor
from torch import distributed as dist

from supertiny.core.errors import UserError
from supertiny.engines.megatron._layout import Layout
from supertiny.engines.megatron.worker import cpu


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process stands."""

    device: torch.device
    tensor_rank: int
    tensor_group: dist.ProcessGroup
    stage: int
    """of the pipeline, from 0"""
    copy: int
    """of the model, from 0"""
    is_first_stage: bool
    is_last_stage: bool

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for all, and writes what they made."""
        return dist.get_rank() == 0

    @property
    def speaks_for_its_copy(self) -> bool:
        """Whether this is the one process of its copy of the model that knows the loss and reports it."""
        return self.is_last_stage and self.tensor_rank == 0

    def sum(self, *values: float) -> list[float]:
        """The sums over all processes, the same on all of them."""
        found: Tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(found)
        return [float(value) for value in found.tolist()]

    def first_says(self, yes: bool) -> bool:
        """What the first process finds, for clocks and trials differ, and all must do the same."""
        return self.sum(float(yes and self.is_first))[0] > 0


def join(layout: Layout, seed: int) -> Place:
    """Meet the other processes that the launcher started."""
    started = int(os.environ.get("WORLD_SIZE", "0"))
    if started != layout.processes:
        raise UserError(
            f"profile: megatron.launcher started {started or 'no'} processes of torchrun, but the run is laid out for "
            f"{layout.processes}: tensor_parallel {layout.tensor} x pipeline_parallel {layout.pipeline} x "
            f"train.processes {layout.data}"
        )
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    else:
        cpu.pretend()
        device = cpu.CPU
        dist.init_process_group("gloo")
    parallel_state.initialize_model_parallel(layout.tensor, layout.pipeline)
    model_parallel_cuda_manual_seed(seed)
    stage = parallel_state.get_pipeline_model_parallel_rank()
    return Place(
        device=device,
        tensor_rank=parallel_state.get_tensor_model_parallel_rank(),
        tensor_group=parallel_state.get_tensor_model_parallel_group(),
        stage=stage,
        copy=parallel_state.get_data_parallel_rank(),
        is_first_stage=stage == 0,
        is_last_stage=stage == layout.pipeline - 1,
    )


def leave() -> None:
    """Part from the others."""
    parallel_state.destroy_model_parallel()
    dist.destroy_process_group()
