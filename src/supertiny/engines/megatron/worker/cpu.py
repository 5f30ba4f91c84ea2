"""Megatron-Core on a machine without GPUs, for tests and trials: where it says cuda, it gets the CPU.

Its collectives run on gloo as they are; what names a device does not. Nothing here is used where CUDA is.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from megatron.core.fusions import fused_softmax
from megatron.core.tensor_parallel import random
from torch import Tensor
from torch.overrides import TorchFunctionMode

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
