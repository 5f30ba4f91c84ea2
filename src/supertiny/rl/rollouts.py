"""The steps of a run, each made when it is asked for: the policy replies, the replies earn, then it learns from them.

Shapes: P prompts of a rollout batch, n replies to each, N response tokens.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedModel

from supertiny.core.calls import Answer, Pool, Syntax
from supertiny.core.files import whole_file
from supertiny.core.prompt import render
from supertiny.core.records import Example
from supertiny.model import checkpoint
from supertiny.model.batches import Batch, Branch, Pack, collate, merged, micro_batches, together
from supertiny.model.config import TrainMachine
from supertiny.model.finetune import freeze
from supertiny.model.generate import Encoded, Sampling, generate, rollouts
from supertiny.model.hardware import compute_dtype, device
from supertiny.model.train import ResponseLogits
from supertiny.rl.config import CollapseConfig, RlConfig, RlMachine
from supertiny.rl.loss import Rollout, Sums, advantages, joined, log_distribution, loss_sum, of_targets
from supertiny.rl.rewards import Level, Reward, level_shares, reward
from supertiny.sft.groups import PackConfig, drawn
from supertiny.sft.packs import TrainingSet

T = TypeVar("T")


def collapsed(rows: Sequence[Mapping[str, Any]], cfg: CollapseConfig) -> str | None:
    """Why a run with these log rows, one a rollout batch, is given up; None: it is not.

    A limit must be broken by the last `cfg.batches` rows, all of them. Rows have `reward`, `tokens`, `cut_share`.
    """
    last = rows[-cfg.batches :]
    if len(last) < cfg.batches:
        return None
    least = rows[0]["reward"] - cfg.reward_drop
    means = {name: sum(row[name] for row in last) / len(last) for name in ("reward", "tokens", "cut_share")}
    over = f"over the last {cfg.batches} rollout batches"
    if all(row["reward"] < least for row in last):
        return f"the reward collapsed: {means['reward']:.2f} {over}, {rows[0]['reward']:.2f} at the start"
    if all(row["tokens"] < cfg.min_tokens for row in last):
        return f"replies collapsed: {means['tokens']:.1f} tokens {over}, rl.collapse.min_tokens is {cfg.min_tokens}"
    if all(row["cut_share"] > cfg.max_cut_share for row in last):
        return f"replies do not end: {means['cut_share']:.2f} of them were cut at rl.max_new_tokens {over}"
    return None


@dataclass(frozen=True, slots=True)
class Experience:
    """Prompts behind one prefix and the replies to them."""

    pack: Pack
    rollout: Rollout
    """[N]"""

    def __len__(self) -> int:
        return len(self.pack)


@dataclass(frozen=True, slots=True)
class RolloutBatch(Batch):
    """A batch whose every target comes with what is known of it."""

    rollout: Rollout
    """[N]"""

    def to(self, device: torch.device) -> "RolloutBatch":
        """The same batch on `device`."""
        moved = {name: getattr(self, name).to(device) for name in Batch.__slots__}
        return replace(self, **moved, rollout=self.rollout.to(device))


def reply_pack(prompt: Encoded, replies: Sequence[Sequence[int]]) -> Pack:
    """What the prompt shares with others once, every reply a branch behind what the prompt alone brings.

    >>> reply_pack(Encoded((7, 8), (9,)), [[1, 2], [3]])
    Pack(prefix=[7, 8], branches=(Branch(prompt=[9], response=[1, 2]), Branch(prompt=[9], response=[3])))
    """
    return Pack(list(prompt.shared), tuple(Branch(list(prompt.own), list(reply)) for reply in replies))


def collate_experiences(found: Sequence[Experience], pad_id: int) -> RolloutBatch:
    """Experiences as one batch."""
    plain = collate([one.pack for one in found], pad_id)
    tensors = {name: getattr(plain, name) for name in Batch.__slots__}
    return RolloutBatch(**tensors, rollout=joined([one.rollout for one in found]))


@dataclass(frozen=True, slots=True)
class Task:
    """One query under its candidates."""

    prompt: Encoded
    answers: tuple[Answer, ...]
    offered: Pool
    syntax: Syntax
    """of the call that is due"""

    def reward(self, text: str) -> Reward:
        """What one reply earns."""
        return reward(text, self.answers, self.offered, self.syntax)


def tasks(data: TrainingSet, encode: Callable[[str], list[int]]) -> list[list[Task]]:
    """The labelled examples in groups behind one list each, drawn as for training: it must be read (App. E)."""
    return _tasks(data.examples, data, data.packing, encode)


def dev_tasks(data: TrainingSet, encode: Callable[[str], list[int]]) -> list[Task]:
    """The dev examples, each under its own candidates."""
    alone = replace(data.packing.as_they_are(), group_size=1)
    return [task for group in _tasks(data.dev, data, alone, encode) for task in group]


def _tasks(
    examples: Sequence[Example], data: TrainingSet, how: PackConfig, encode: Callable[[str], list[int]]
) -> list[list[Task]]:
    found = []
    for one, pool in drawn(examples, data.pool, how, Random(data.seed)):
        shown = [render(example, pool, data.prompt) for example in one.examples]
        prefix = tuple(encode(shown[0].shared))
        offered = {name: pool[name] for name in one.examples[0].candidates}
        found.append(
            [
                Task(Encoded(prefix, tuple(encode(said.own))), example.answers, offered, data.prompt.answer)
                for said, example in zip(shown, one.examples, strict=True)
            ]
        )
    return found


Replies = list[list[list[int]]]
"""[P][n] token ids, the end token last where one was written"""


class Practice(Sequence[list[list[Experience]]]):
    """All steps of one run; what `fit` trains, how, and what it logs."""

    def __init__(
        self, base: Path, data: TrainingSet, cfg: RlConfig, machine: TrainMachine, rolling: RlMachine, state: Path
    ) -> None:
        self.cfg, self.machine, self.rolling, self.state, self.seed = cfg, machine, rolling, state, data.seed
        self.base, self.tokenizer, self.policy = base, checkpoint.load_tokenizer(base), checkpoint.load_model(base)
        freeze(self.policy, cfg.frozen)
        dtype = compute_dtype(machine.precision)
        self.writer, self.reference = (checkpoint.load_model(base, dtype).to(device()) for _ in range(2))
        encode = checkpoint.encoder(self.tokenizer)
        self.dev, asked = dev_tasks(data, encode), tasks(data, encode)
        self.asked = list(islice(in_turn(asked, Random(cfg.shuffle_seed)), cfg.batches * cfg.prompts_a_batch))
        self.steps_a_batch = cfg.epochs * -(-cfg.prompts_a_batch // cfg.prompts_a_step)
        self.batch, self.experiences, self.told = -1, list[Experience](), dict[str, float]()
        self.sums: Sums | None = None

    def __len__(self) -> int:
        return self.cfg.batches * self.steps_a_batch

    def __getitem__(self, number: Any) -> Any:
        """The micro-batches of step `number`; the first of a rollout batch has the policy reply."""
        if not self._best_file.exists():
            self._keep_if_best(0, self._dev_columns())
        batch, step = divmod(number, self.steps_a_batch)
        if batch != self.batch:
            self._practise(batch)
        size = self.cfg.prompts_a_step
        turns = -(-len(self.experiences) // size)
        order = list(range(len(self.experiences)))
        Random(f"{self.cfg.shuffle_seed} {batch} {step // turns}").shuffle(order)
        chosen = order[step % turns * size :][:size]
        some = [self.experiences[index] for index in chosen]
        joint = [[some[at] for at in one] for one in together([one.pack for one in some], self.machine.max_tokens)]
        return micro_batches(
            [Experience(merged([one.pack for one in row]), joined([one.rollout for one in row])) for row in joint],
            self.machine.max_tokens,
        )

    def load(self, found: Sequence[Experience]) -> RolloutBatch:
        """One micro-batch."""
        return collate_experiences(found, self.tokenizer.pad_token_id)

    def loss(self, logits_NV: Tensor, batch: RolloutBatch) -> Tensor:
        """Summed over the batch's N response tokens."""
        log_p_NV = log_distribution(logits_NV, self.cfg.temperature)
        value, sums = loss_sum(of_targets(log_p_NV, batch.targets), batch.rollout, self.cfg, log_p_NV)
        self.sums = self.sums + sums if self.sums else sums
        return value

    def columns(self, step: int, dev_due: bool) -> Mapping[str, Any]:
        """What the rollout batch earned, how the step went, and at dev points what greedy replies to dev earn."""
        means = {name: round(value, 5) for name, value in self.sums.means().items()} if self.sums else {}
        self.sums = None
        dev = self._dev_columns() if dev_due else {}
        kept = self._keep_if_best(step, dev) if dev_due else {}
        names = ("dev_reward", "dev_ar", "dev_tokens", "kept_step", "start_reward")
        return {"batch": self.batch + 1, **self.told, **means, **{name: (dev | kept).get(name, "") for name in names}}

    def stop(self, rows: Sequence[Mapping[str, Any]]) -> str | None:
        """Why the run is given up."""
        return collapsed(list({row["batch"]: row for row in rows}.values()), self.cfg.collapse)

    def best(self) -> PreTrainedModel:
        """The policy that earned most on dev; the base model where none earned more."""
        kept = torch.load(self._best_file, map_location="cpu", weights_only=True)
        model = checkpoint.load_model(self.base)
        if kept["model"]:
            model.load_state_dict(kept["model"])
        return model

    @property
    def _best_file(self) -> Path:
        return self.state / "best.pt"

    def _practise(self, batch: int) -> None:
        """Have the policy reply to the prompts of rollout batch `batch`, and score the replies."""
        size = self.cfg.prompts_a_batch
        chosen = self.asked[batch * size : (batch + 1) * size]
        replies, old = self._replies(batch, chosen)
        packs = [reply_pack(task.prompt, row) for task, row in zip(chosen, replies, strict=True)]
        rewards = [[task.reward(self._text(reply)) for reply in row] for task, row in zip(chosen, replies, strict=True)]
        counts = torch.tensor([len(reply) for row in replies for reply in row])
        mask_RT = torch.arange(int(counts.max()))[None] < counts[:, None]
        values_Pn = torch.tensor([[one.value for one in row] for row in rewards])
        spread_RT = advantages(values_Pn, mask_RT, self.cfg.reward_clip, self.cfg.variance_floor)
        gained = torch.split(spread_RT[mask_RT], [pack.num_responses for pack in packs])
        reference = self._log_p(self.reference, packs)
        self.batch, self.experiences = (
            batch,
            [
                Experience(pack, Rollout(one, before, gain))
                for pack, one, before, gain in zip(packs, old, reference, gained, strict=True)
            ],
        )
        self.told = self._summary([one for row in rewards for one in row], counts, replies)

    def _replies(self, batch: int, chosen: Sequence[Task]) -> tuple[Replies, Sequence[Tensor | None]]:
        """The replies and, where several steps learn from them, their log-probabilities: kept for a killed run."""
        kept = self.state / f"rollouts-{batch}.pt"
        if kept.is_file():
            found = torch.load(kept, weights_only=True)
            return found["replies"], found["old"]
        self._refresh()
        prompts, draw = [task.prompt for task in chosen], Random(f"{self.seed} {batch}")
        seeds = [draw.randrange(2**32) for _ in prompts]
        sampling = Sampling(self.cfg.max_new_tokens, self.cfg.temperature, seeds)
        each, at_once = self.cfg.rollouts, self.rolling.batch_size
        replies = rollouts(self.writer, self.tokenizer, prompts, each, sampling, at_once, "replies")
        old: Sequence[Tensor | None] = [None] * len(chosen)
        if self.steps_a_batch > 1:
            old = self._log_p(self.policy, [reply_pack(*pair) for pair in zip(prompts, replies, strict=True)])
            with whole_file(kept) as partial:
                torch.save({"replies": replies, "old": old}, partial)
        return replies, old

    @torch.no_grad()
    def _log_p(self, model: PreTrainedModel, packs: Sequence[Pack]) -> list[Tensor]:
        """For every pack [N] the log-probability of its response tokens under `model`."""
        score, dtype = ResponseLogits(model), compute_dtype(self.machine.precision)
        found: dict[int, Tensor] = {}
        joint = together(packs, self.machine.max_tokens)
        wholes = [merged([packs[at] for at in one]) for one in joint]
        places = {id(whole): one for whole, one in zip(wholes, joint, strict=True)}
        for micro in micro_batches(wholes, self.machine.max_tokens):
            batch = collate(micro, self.tokenizer.pad_token_id).to(device())
            with torch.autocast(device().type, torch.bfloat16, enabled=dtype is torch.bfloat16):
                logits_NV = score(batch)
            log_p_N = of_targets(log_distribution(logits_NV, self.cfg.temperature), batch.targets).cpu()
            order = [at for whole in micro for at in places[id(whole)]]
            parts = torch.split(log_p_N, [packs[at].num_responses for at in order])
            found.update(zip(order, parts, strict=True))
        return [found[at] for at in range(len(packs))]

    @torch.no_grad()
    def _refresh(self) -> None:
        """Give the policy's weights to the copy that writes, in its precision."""
        self.writer.load_state_dict(self.policy.state_dict())

    def _text(self, reply: Sequence[int]) -> str:
        return self.tokenizer.decode(reply, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _summary(self, rewards: Sequence[Reward], counts: Tensor, replies: Replies) -> dict[str, float]:
        cut = [reply[-1] != self.tokenizer.eos_token_id for row in replies for reply in row]
        told = {
            "reward": sum(one.value for one in rewards) / len(rewards),
            "format": sum(one.format_score for one in rewards) / len(rewards),
            "tokens": float(counts.float().mean()),
            "cut_share": sum(cut) / len(cut),
        }
        shares = {f"share: {level}": value for level, value in level_shares(rewards).items()}
        return {name: round(value, 5) for name, value in (told | shares).items()}

    def _dev_columns(self) -> dict[str, float]:
        """Greedy replies to the dev set."""
        self._refresh()
        prompts = [task.prompt for task in self.dev]
        size = self.rolling.batch_size
        found = generate(self.writer, self.tokenizer, prompts, Sampling(self.cfg.max_new_tokens), size, progress="dev")
        rewards = [task.reward(one.text) for task, one in zip(self.dev, found, strict=True)]
        right = sum(one.level is Level.CORRECT for one in rewards)
        return {
            "dev_reward": round(sum(one.value for one in rewards) / len(rewards), 4),
            "dev_ar": round(right / len(rewards), 4),
            "dev_tokens": round(sum(one.new_tokens for one in found) / len(found), 2),
        }

    def _keep_if_best(self, step: int, dev: Mapping[str, float]) -> dict[str, float]:
        """Keep the policy where it earns more on dev than any before; of step 0 nothing but what it earns.

        Returns the step of the one that is kept, and what the base model earned.
        """
        file = self._best_file
        kept = torch.load(file, weights_only=True) if file.exists() else None
        if kept is None or dev["dev_reward"] > kept["dev_reward"]:
            tqdm.write(f"step {step}: dev reward {dev['dev_reward']}, right {dev['dev_ar']}: the best so far")
            model, start = (self.policy.state_dict(), kept["start"]) if kept else ({}, dev["dev_reward"])
            kept = {"dev_reward": dev["dev_reward"], "step": step, "start": start, "model": model}
            with whole_file(file) as partial:
                torch.save(kept, partial)
        return {"kept_step": kept["step"], "start_reward": kept["start"]}


def in_turn(groups: Sequence[Sequence[T]], rng: Random) -> Iterator[T]:
    """All of all groups, again and again in a new order, a group together: what is asked at once shares few lists."""
    return chain.from_iterable(chain.from_iterable(rng.sample(groups, len(groups))) for _ in repeat(None))
