"""How OpenRLHF is laid out on its machines: section `openrlhf` of the profile."""

from dataclasses import dataclass

from supertiny.core.config import require, require_positive


@dataclass(kw_only=True, slots=True)
class OpenrlhfConfig:
    """Policy, reference and the model that writes share all GPUs, and sleep in turn."""

    nodes: int
    """machines of the Ray cluster"""
    gpus: int
    """of a machine"""
    tensor_parallel: int
    """GPUs that hold one copy of the model that writes"""
    zero_stage: int
    """DeepSpeed's: 2 shards gradients and optimizer state, 3 the weights too"""
    memory_share: float
    """of a GPU's memory, for the model that writes"""
    micro_batch: int
    """replies of one forward and backward pass on a GPU"""
    gradient_checkpointing: bool
    """recompute activations in the backward pass"""
    attention: str
    """of the policy: flash_attention_2 where the package is there, else eager"""
    save_steps: int
    """rollout batches between two states that a killed run goes on from"""

    def __post_init__(self) -> None:
        require_positive(self, "nodes", "gpus", "tensor_parallel", "micro_batch", "save_steps")
        require(self.zero_stage in (2, 3), f"zero_stage: expected 2 or 3, got {self.zero_stage}")
        require(0 < self.memory_share < 1, f"memory_share: expected above 0 and below 1, got {self.memory_share}")
        most = f"tensor_parallel: expected a divisor of all {self.all_gpus} GPUs, got {self.tensor_parallel}"
        require(self.all_gpus % self.tensor_parallel == 0, most)

    @property
    def all_gpus(self) -> int:
        """Of all machines."""
        return self.nodes * self.gpus
