"""OpenRLHF's functions on what stdin says, for `test_maths`: a process of its own, since it imports under stand-ins.

Ray, DeepSpeed, vLLM and the like are stand-ins that give anything for any name; nothing of them is called.
"""

import importlib.abc
import importlib.machinery
import json
import sys
import types
from types import SimpleNamespace
from typing import Any

STOOD_IN = {
    *("ray", "deepspeed", "vllm", "flash_attn", "ring_flash_attn", "liger_kernel", "peft", "torchdata", "optree"),
    *("datasets", "accelerate", "transformers", "aiohttp", "bitsandbytes", "loralib", "torchmetrics", "wandb"),
    *("jsonlines", "pylatexenc", "pynvml"),
}
"""what OpenRLHF requires beside torch"""


class Anything(types.ModuleType):
    """A module that has every name: classes where they look like one, else decorators that change nothing."""

    __path__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {}) if name[0].isupper() else _unchanged


def _unchanged(*given: Any, **_: Any) -> Any:
    return given[0] if len(given) == 1 and callable(given[0]) else _unchanged


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives `Anything` for each of `STOOD_IN`."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in STOOD_IN:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Anything(spec.name)

    def exec_module(self, module):
        pass


def main(package: str) -> None:
    asked = json.load(sys.stdin)
    import torch

    sys.path.insert(0, package)
    sys.meta_path.insert(0, StandIns())
    from openrlhf.models.utils import compute_approx_kl
    from openrlhf.trainer.ppo_utils import experience_maker

    log_p, reference = torch.tensor(asked["log_p"]), torch.tensor(asked["reference"])
    k2 = compute_approx_kl(log_p, reference, kl_estimator="k2")
    json.dump({"k2": k2.tolist(), "advantages": _advantages(experience_maker, asked)}, sys.stdout)


def _advantages(module: Any, asked: dict[str, Any]) -> list[list[float]]:
    """One experience a reply, as the trainer makes them."""
    import torch

    maker_of = next(
        found for found in vars(module).values() if isinstance(found, type) and hasattr(found, "get_cumulative_returns")
    )
    rewards = [value for group in asked["rewards"] for value in group]
    counts = [count for group in asked["tokens"] for count in group]
    longest = max(counts)
    advantage = SimpleNamespace(estimator="reinforce_baseline", gamma=1.0, lambd=1.0, no_std_norm=False)
    reward = SimpleNamespace(
        clip_range=(-10, 10), overlong_buffer_len=None, overlong_penalty_factor=1, stop_properly_penalty_coef=None
    )
    args = SimpleNamespace(
        rollout=SimpleNamespace(n_samples_per_prompt=len(asked["rewards"][0])),
        reward=reward,
        algo=SimpleNamespace(advantage=advantage, kl=SimpleNamespace(use_loss=True)),
    )
    maker = object.__new__(maker_of)
    maker.strategy, maker.args = SimpleNamespace(args=args), args
    maker.advantage_estimator, maker.kl_ctl = "reinforce_baseline", SimpleNamespace(value=0.001)
    experiences = [
        SimpleNamespace(
            index=[at],
            rewards=torch.tensor([value]),
            action_mask=(torch.arange(longest) < count).float()[None],
            kl=torch.zeros(1, longest),
            values=None,
            info={},
            advantages=None,
            returns=None,
            truncated=None,
            response_length=None,
        )
        for at, (value, count) in enumerate(zip(rewards, counts, strict=True))
    ]
    return [one.advantages[0].tolist() for one in maker.compute_advantages_and_returns(experiences)]


if __name__ == "__main__":
    main(sys.argv[1])
