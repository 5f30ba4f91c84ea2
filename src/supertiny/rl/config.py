"""How a policy is trained on rewards (paper App. E)."""

from dataclasses import dataclass

from supertiny.core.config import require, require_positive
from supertiny.model.config import FitConfig, FrozenConfig


@dataclass(kw_only=True, slots=True)
class CollapseConfig:
    """When a run is given up; each limit must hold for `batches` rollout batches in a row."""

    reward_drop: float
    """mean reward below that of the first batch by more than this"""
    min_tokens: float
    """mean response tokens below this: the policy stops thinking"""
    max_cut_share: float
    """share of responses cut at `max_new_tokens` above this: the policy does not end"""
    batches: int
    """rollout batches in a row"""

    def __post_init__(self) -> None:
        require_positive(self, "reward_drop")
        require(self.min_tokens >= 0, f"min_tokens: expected 0 or more, got {self.min_tokens}")
        require(0 < self.max_cut_share <= 1, f"max_cut_share: expected above 0 to 1, got {self.max_cut_share}")
        require_positive(self, "batches")


@dataclass(kw_only=True, slots=True)
class RlConfig:
    """Section `rl` of params.yaml: REINFORCE++-baseline with k2 in the loss."""

    shuffle_seed: int
    """order of the prompts"""
    prompts_a_batch: int
    """prompts of one rollout batch, over whose response tokens advantages are whitened"""
    rollouts: int
    """replies sampled for each prompt: the group whose mean is the baseline"""
    batches: int
    """rollout batches in all; the paper's episodes"""
    epochs: int
    """passes over each rollout batch"""
    prompts_a_step: int
    """prompts, with all their replies, in one optimizer step; fewer than a batch has: later steps of a pass are off the
    policy that wrote the replies"""
    temperature: float
    """of the sampling, and of every log-probability in the loss"""
    max_new_tokens: int
    """a response is cut there"""
    clip: float
    """the probability ratio counts up to 1 - clip and 1 + clip (PPO)"""
    kl_coef: float
    """weight of k2 in the loss"""
    kl_clamp: float
    """a token's k2 counts up to this, and has no gradient above"""
    reward_clip: float
    """a reward minus its group mean is cut to +- this"""
    variance_floor: float
    """the least variance that advantages are divided by the root of"""
    dev_points: int
    """how often the answers to the dev set are judged; the best policy on it is kept"""
    collapse: CollapseConfig
    frozen: FrozenConfig
    """what does not learn"""
    fit: FitConfig

    def __post_init__(self) -> None:
        require(
            self.rollouts > 1,
            f"rollouts: expected more than 1, for a group of one has no baseline, got {self.rollouts}",
        )
        require_positive(self, "prompts_a_batch", "batches", "epochs", "prompts_a_step", "max_new_tokens", "dev_points")
        require_positive(self, "temperature", "kl_clamp", "reward_clip", "variance_floor")
        most = self.prompts_a_batch
        require(self.prompts_a_step <= most, f"prompts_a_step: a batch has {most}, got {self.prompts_a_step}")
        require(0 < self.clip < 1, f"clip: expected more than 0 and less than 1, got {self.clip}")
        require(self.kl_coef >= 0, f"kl_coef: expected 0 or more, got {self.kl_coef}")


@dataclass(kw_only=True, slots=True)
class RlMachine:
    """Section `rollouts` of the profile."""

    batch_size: int
    """replies written at once; lower it when memory runs out"""

    def __post_init__(self) -> None:
        require_positive(self, "batch_size")


@dataclass(kw_only=True, slots=True)
class TracesConfig:
    """One entry of `traces` of params.yaml."""

    policy: str
    """name of the model whose thoughts are kept"""


@dataclass(kw_only=True, slots=True)
class ThoughtSizes:
    """Section `sizes.thoughts` of the profile: training examples with a chain of thought."""

    rule: int
    """rule-made ones, for the cold start; 0: all examples"""
    model: int
    """examples that the trained policy answers, whose right answers a student learns; 0: all"""
    shard: int
    """answers kept at once: what a killed run can lose"""

    def __post_init__(self) -> None:
        for name in ("rule", "model"):
            require(getattr(self, name) >= 0, f"{name}: expected 0 or more, got {getattr(self, name)}")
        require_positive(self, "shard")
