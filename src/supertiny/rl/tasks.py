"""What a policy is asked, with all that its replies are scored by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from supertiny.core.calls import Answer, Pool
from supertiny.core.records import Example
from supertiny.prompt.compressed import PromptConfig, render
from supertiny.rl.rewards import Reward, reward
from supertiny.sft.augment import drop_function, rename_functions
from supertiny.sft.config import PackConfig
from supertiny.sft.group import Group


@dataclass(frozen=True, slots=True)
class Task:
    """One query under its candidates."""

    prompt: list[int]
    """token ids"""
    answers: tuple[Answer, ...]
    offered: Pool

    def reward(self, text: str) -> Reward:
        """What one reply earns."""
        return reward(text, self.answers, self.offered)


def tasks(
    examples: Sequence[Example],
    pool: Pool,
    encode: Callable[[str], list[int]],
    cfg: PackConfig,
    prompt: PromptConfig,
    rng: Random,
) -> list[Task]:
    """The labelled `examples`, some under changed candidates, so that the policy must read what is offered (App. E)."""
    found = []
    for example in examples:
        alone, functions = Group((example,)), pool
        if rng.random() < cfg.function_dropout:
            alone = drop_function(alone, rng)
        if rng.random() < cfg.renaming:
            alone, functions = rename_functions(alone, pool, rng)
        (changed,) = alone.examples
        said = render(changed, functions, prompt)
        offered = {name: functions[name] for name in changed.candidates}
        found.append(Task(encode(said.shared) + encode(said.own), changed.answers, offered))
    return found
