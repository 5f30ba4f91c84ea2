"""Our reinforcement learning in OpenRLHF's words (0.11.2): REINFORCE++-baseline, k2 in the loss.

What OpenRLHF fixes, ours must be equal to: the clamp of k2 (10) and the floor of the variance (1e-8). It trains every
weight, and does not stop on a collapse.
"""

from dataclasses import dataclass
from math import ceil
from pathlib import Path

from supertiny.core.config import PARAMS, require, require_positive
from supertiny.core.errors import UserError
from supertiny.rl.config import RlConfig


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


MODULE = "openrlhf.cli.train_ppo_ray"
BETAS = ("0.9", "0.95")
"""AdamW's, as in `model/train.py`"""
SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}
"""ours -> transformers'"""
KL_CLAMP, VARIANCE_FLOOR = 10.0, 1e-8
DEV_METRIC = "eval_default_pass1"
"""mean reward of greedy replies to the dev set"""
BEST = "best_global_step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where a run reads and writes; absolute, for its processes have working folders of their own."""

    base: Path
    state: Path
    """outlives a killed run"""

    @property
    def prompts(self) -> Path:
        """Rows {"prompt", "label"}, one a prompt of a rollout batch."""
        return self.state / "prompts.jsonl"

    @property
    def dev(self) -> Path:
        """The same of the dev set."""
        return self.state / "dev.jsonl"

    @property
    def reward(self) -> Path:
        """The file whose `reward_func` is called."""
        return self.state / "reward.py"

    @property
    def states(self) -> Path:
        """DeepSpeed's states, and the best policies as Hugging Face folders."""
        return self.state / "states"

    @property
    def last(self) -> Path:
        """The policy after the last step."""
        return self.state / "last"


def arguments(cfg: RlConfig, machine: OpenrlhfConfig, files: Files, max_tokens: int, seed: int) -> list[str]:
    """All options of `python -m openrlhf.cli.train_ppo_ray`; `max_tokens`: of the longest prompt and its reply."""
    check(cfg, machine)
    layout = [*_pairs(_placement(machine)), "--train.colocate_all", "--ds.enable_sleep", "--ds.packing_samples"]
    layout += ["--vllm.enable_sleep", "--vllm.enable_prefix_caching"]
    layout += ["--actor.gradient_checkpointing_enable"] if machine.gradient_checkpointing else []
    science = ["--algo.kl.use_loss", *_pairs(_science(cfg, seed))]
    science += ["--actor.adam.betas", *BETAS, "--reward.clip_range", str(-cfg.reward_clip), str(cfg.reward_clip)]
    kept = ["--ckpt.save_hf", "--ckpt.load_enable", *_pairs(_files(cfg, machine, files, max_tokens))]
    return ["--actor.model_name_or_path", str(files.base), *layout, *science, *kept]


def check(cfg: RlConfig, machine: OpenrlhfConfig) -> None:
    """Refuse what OpenRLHF would do otherwise than params.yaml says."""
    if cfg.frozen.embeddings or cfg.frozen.blocks or cfg.frozen.prefix:
        raise UserError(
            f"{PARAMS}: rl.frozen: engine openrlhf trains every weight, on every token; set rl.frozen.embeddings: "
            "false, rl.frozen.blocks: 0.0 and rl.frozen.prefix: false"
        )
    for name, fixed in (("kl_clamp", KL_CLAMP), ("variance_floor", VARIANCE_FLOOR)):
        if getattr(cfg, name) != fixed:
            raise UserError(f"{PARAMS}: rl.{name}: {getattr(cfg, name)}, but OpenRLHF's is {fixed}")
    if cfg.prompts_a_batch % cfg.prompts_a_step:
        raise UserError(
            f"{PARAMS}: rl.prompts_a_step: {cfg.prompts_a_step} must divide rl.prompts_a_batch: {cfg.prompts_a_batch}, "
            "for OpenRLHF leaves out what is over"
        )
    replies, at_once = cfg.prompts_a_step * cfg.rollouts, machine.all_gpus * machine.micro_batch
    if replies % at_once:
        raise UserError(
            f"{PARAMS}: rl.prompts_a_step * rl.rollouts = {replies} replies of one step must be a multiple of the "
            f"profile's openrlhf.nodes * gpus * micro_batch = {at_once}"
        )


def eval_steps(cfg: RlConfig) -> int:
    """Rollout batches between two evaluations on dev."""
    return ceil(cfg.batches / cfg.dev_points)


def _placement(machine: OpenrlhfConfig) -> dict[str, object]:
    return {
        "actor.num_nodes": machine.nodes,
        "actor.num_gpus_per_node": machine.gpus,
        "ref.num_nodes": machine.nodes,
        "ref.num_gpus_per_node": machine.gpus,
        "vllm.num_engines": machine.all_gpus // machine.tensor_parallel,
        "vllm.tensor_parallel_size": machine.tensor_parallel,
        "vllm.gpu_memory_utilization": machine.memory_share,
        "ds.zero_stage": machine.zero_stage,
        "ds.param_dtype": "bf16",
        "ds.attn_implementation": machine.attention,
        "rollout.micro_batch_size": machine.micro_batch,
        "train.micro_batch_size": machine.micro_batch,
    }


def _science(cfg: RlConfig, seed: int) -> dict[str, object]:
    return {
        "algo.advantage.estimator": "reinforce_baseline",
        "algo.kl.estimator": "k2",
        "algo.kl.init_coef": cfg.kl_coef,
        "rollout.n_samples_per_prompt": cfg.rollouts,
        "rollout.batch_size": cfg.prompts_a_batch,
        "rollout.temperature": cfg.temperature,
        "rollout.max_new_tokens": cfg.max_new_tokens,
        "train.batch_size": cfg.prompts_a_step * cfg.rollouts,
        "train.num_episodes": 1,
        "train.max_epochs": cfg.epochs,
        "train.seed": seed,
        "actor.eps_clip": cfg.clip,
        "actor.entropy_coef": 0,
        "actor.adam.lr": cfg.fit.learning_rate,
        "actor.adam.weight_decay": cfg.fit.weight_decay,
        "actor.lr_scheduler": SCHEDULES[cfg.fit.schedule],
        "actor.lr_warmup_ratio": cfg.fit.warmup_share,
        "actor.max_norm": cfg.fit.max_grad_norm,
    }


def _files(cfg: RlConfig, machine: OpenrlhfConfig, files: Files, max_tokens: int) -> dict[str, object]:
    return {
        "reward.remote_url": files.reward,
        "data.prompt_dataset": files.prompts,
        "data.input_key": "prompt",
        "data.label_key": "label",
        "data.max_len": max_tokens,
        "eval.dataset": files.dev,
        "eval.steps": eval_steps(cfg),
        "eval.temperature": 0.0,
        "eval.n_samples_per_prompt": 1,
        "ckpt.path": files.states,
        "ckpt.output_dir": files.last,
        "ckpt.save_steps": machine.save_steps,
        "ckpt.max_num": 1,
        "ckpt.best_metric_key": DEV_METRIC,
        "logger.logging_steps": 1,
    }


def _pairs(options: dict[str, object]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]
