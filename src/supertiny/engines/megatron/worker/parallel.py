"""The processes of one run, and where this one stands among them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.fusions import fused_softmax
from megatron.core.tensor_parallel import random
from megatron.core.tensor_parallel.random import model_parallel_cuda_manual_seed
from torch import Tensor
from torch import distributed as dist
from torch.overrides import TorchFunctionMode

from supertiny.core.errors import UserError
from supertiny.engines.megatron.layout import Layout

CPU = torch.device("cpu")


def pretend() -> None:
    """From now on, and to the end of this process, what asks for CUDA gets the CPU."""
    torch.cuda.current_device = _device  # type: ignore[assignment]
    torch.cuda.synchronize = lambda *_: None
    random._get_cuda_rng_state = lambda *_, **__: torch.get_rng_state()
    random._set_cuda_rng_state = lambda state, *_, **__: torch.set_rng_state(state)
    random._CUDA_RNG_STATE_TRACKER = _RandomStates()
    random._CUDA_RNG_STATE_TRACKER_INITIALIZED = True
    fused_softmax.get_default_causal_mask = _causal_mask
    _ON_CPU.__enter__()  # type: ignore[no-untyped-call]


def _device() -> torch.device:
    """What Megatron-Core gives to tensors as their device, and to no one else."""
    return CPU


class _OnCpu(TorchFunctionMode):
    """Tensors asked for on cuda are on the CPU, and name the type that the optimizer knows its parameters by."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if _is_cuda(kwargs.get("device")):
            kwargs["device"] = CPU
        if func is Tensor.cuda:
            return args[0]
        if func is Tensor.to:
            args = tuple(CPU if _is_cuda(one) else one for one in args)
        found = func(*args, **kwargs)
        if func is Tensor.type and len(args) == 1 and not kwargs:
            return found.replace("torch.", "torch.cuda.", 1)
        return found


_ON_CPU = _OnCpu()


def _is_cuda(value: Any) -> bool:
    return isinstance(value, str | torch.device) and str(value).startswith("cuda")


class _RandomStates(random.CudaRNGStatesTracker):  # type: ignore[misc]
    """The states of random numbers that a model's processes share, or each has its own, of the CPU's generator."""

    def add(self, name: str, seed: int) -> None:
        """A new state."""
        self._is_initialized = True
        self.seeds_.add(seed)
        self.states_[name] = torch.Generator().manual_seed(seed).get_state()

    @contextmanager
    def fork(self, name: str = "model-parallel-rng") -> Iterator[None]:
        """Draw from that state inside."""
        before = torch.get_rng_state()
        torch.set_rng_state(self.states_[name])
        try:
            yield
        finally:
            self.states_[name] = torch.get_rng_state()
            torch.set_rng_state(before)


@cache
def _causal_mask(size: int) -> Tensor:
    return torch.ones(size, size, dtype=torch.bool).triu(1)


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
        pretend()
        device = CPU
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
