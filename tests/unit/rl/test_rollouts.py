"""Reinforcement learning on a tiny policy: it learns what is rewarded, resumes exactly, stops on collapse."""

import csv
from dataclasses import dataclass, replace
from itertools import islice
from random import Random

import pytest
import torch

from supertiny.core.calls import Call, Function, Syntax
from supertiny.core.config import load
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example
from supertiny.engines.native.rl import rl
from supertiny.model import checkpoint
from supertiny.model.config import FitConfig, FrozenConfig, TrainMachine
from supertiny.model.generate import Encoded, Sampling, generate, rollouts
from supertiny.model.train import Job
from supertiny.rl import rollouts as module
from supertiny.rl.config import CollapseConfig, RlConfig, RlMachine
from supertiny.rl.rewards import NOTHING, Level, Reward
from supertiny.sft.groups import ListConfig, PackConfig
from supertiny.sft.packs import TrainingSet
from tests.house import ROOT
from tests.project import killed_before_step

MACHINE = TrainMachine(precision="float32", max_tokens=64, gradient_checkpointing=False, save_minutes=1e-9, processes=1)
POOL = {"lock": Function("lock", "Locks"), "open": Function("open", "Opens")}
ROWS = [
    Example(id=str(n), query="lock it" + "!" * n, candidates=("lock", "open"), answers=(Call("lock"),))
    for n in range(6)
]
DATA = TrainingSet(
    ROWS, ROWS[:2], POOL,
    PackConfig(
        group_size=3, whole=1.0, list=ListConfig(least=8, most=40), substitution=0.0, function_dropout=0.0, general=0.5
    ),
    PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=1, answer=Syntax.json), 0,
)  # fmt: skip
NEVER = CollapseConfig(reward_drop=1e9, min_tokens=0.0, max_cut_share=1.0, batches=1)
FIT = FitConfig(learning_rate=2e-2, warmup_share=0.0, schedule="constant", weight_decay=0.0, max_grad_norm=1.0)


@pytest.fixture
def cfg(monkeypatch):
    """One token a reply, so that what is good can be found by chance."""
    monkeypatch.chdir(ROOT)
    return replace(
        load("rl", RlConfig),
        prompts_a_batch=4, prompts_a_step=4, rollouts=8, batches=12, epochs=1, max_new_tokens=1, dev_points=2,
        collapse=NEVER, frozen=FrozenConfig(embeddings=False, blocks=0.0, prefix=False), fit=FIT,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def rewarded(monkeypatch, tmp_path):
    """Three quarters of all bytes are good ones, the likeliest is not; scratch folders in the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made, dev = module.tasks, module.dev_tasks
    monkeypatch.setattr(module, "tasks", lambda *args: [[Odd(task.prompt) for task in one] for one in made(*args)])
    monkeypatch.setattr(module, "dev_tasks", lambda *args: [Odd(task.prompt) for task in dev(*args)])


@dataclass
class Odd:
    """A task for one byte: odd ones are right."""

    prompt: list[int]

    def reward(self, text):
        return Reward(1.0, 2.0, Level.CORRECT) if text and ord(text[0]) % 2 else NOTHING


def train(folder, out, cfg, **changes):
    job = Job(folder, out / "policy", out / "log.csv", replace(MACHINE, **changes))
    rl(job, DATA, cfg, RlMachine(batch_size=16))
    return list(csv.DictReader((out / "log.csv").open())), checkpoint.load_model(out / "policy").state_dict()


def test_replies_to_prompts_of_any_length_are_those_of_each_alone(tiny, tokenizer):
    """Left padding and the shared keys and values change nothing; at temperature 0 all of a group are equal."""
    prompts = [list(b"ab"), list(b"a much longer prompt"), [7]]
    asked = [Encoded((), tuple(prompt)) for prompt in prompts]
    found = rollouts(tiny, tokenizer, asked, 2, Sampling(6), 6)
    for prompt, group in zip(prompts, found, strict=True):
        alone = tiny.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False, pad_token_id=256)
        row = alone[0, len(prompt) :].tolist()
        assert group[0] == group[1] == (row[: row.index(256) + 1] if 256 in row else row)
    texts = [one.text for one in generate(tiny, tokenizer, asked, Sampling(6), 3)]
    assert texts == [tokenizer.decode(group[0], skip_special_tokens=True) for group in found]


def test_sampled_replies_are_the_seeds(tiny, tokenizer):
    def sample(seed):
        return rollouts(tiny, tokenizer, [Encoded((), (5, 6))], 6, Sampling(8, 1.0, [seed]), 2)

    assert sample(1) == sample(1) != sample(2)
    assert len({tuple(reply) for reply in sample(1)[0]}) > 1, "a group is no copies of one reply"


def test_the_policy_learns_what_is_rewarded_and_the_best_on_dev_is_kept(tiny_folder, tmp_path, cfg):
    rows, weights = train(tiny_folder, tmp_path, replace(cfg, batches=40))
    assert len(rows) == 40 and [row["dev_reward"] != "" for row in rows].count(True) == 2
    assert float(rows[0]["reward"]) < 2.5 and float(rows[-1]["reward"]) > 2.8, "by chance 1.7"
    assert float(rows[-1]["dev_ar"]) == 1.0
    assert float(rows[-1]["kept_step"]) > 0 and float(rows[-1]["start_reward"]) < float(rows[-1]["dev_reward"])
    assert all(float(row["ratio"]) == 1.0 and float(row["clipped"]) == 0.0 for row in rows), "one step: on the policy"
    assert float(rows[0]["k2"]) == 0.0 < float(rows[-1]["k2"])
    before = checkpoint.load_model(tiny_folder).state_dict()
    assert any(not torch.equal(before[name], weights[name]) for name in before)


def test_a_run_killed_between_two_steps_of_a_batch_ends_at_the_same_weights(tiny_folder, tmp_path, cfg):
    several = replace(cfg, batches=3, epochs=2, prompts_a_step=2)
    rows, whole = train(tiny_folder, tmp_path / "whole", several)
    assert any(float(row["ratio"]) != 1.0 for row in rows), "later steps of a batch are off the policy"
    with killed_before_step(6):
        train(tiny_folder, tmp_path / "killed", several)
    _, resumed = train(tiny_folder, tmp_path / "killed", several)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert (tmp_path / "whole/log.csv").read_bytes() == (tmp_path / "killed/log.csv").read_bytes()


def test_collapse_ends_the_run_and_the_base_model_stays_where_nothing_was_better(tiny_folder, tmp_path, cfg, capsys):
    """One-token replies are cut, all of them: after two batches it is given up; dev was asked at step 0 alone."""
    limits = replace(NEVER, max_cut_share=0.5, batches=2)
    rows, weights = train(tiny_folder, tmp_path, replace(cfg, collapse=limits, dev_points=1))
    assert len(rows) == 2
    assert "stopped after step 2: replies do not end" in capsys.readouterr().out
    before = checkpoint.load_model(tiny_folder).state_dict()
    assert all(torch.equal(before[name], weights[name]) for name in before)


def test_several_processes_are_refused_with_the_remedy(tiny_folder, tmp_path, cfg):
    with pytest.raises(UserError, match=r"train\.processes: 2.*openrlhf"):
        train(tiny_folder, tmp_path, cfg, processes=2)


def test_what_is_asked_at_once_shares_few_lists():
    """All of a group together, and all groups before the first comes again."""
    groups = [[f"{group}{n}" for n in range(3)] for group in "abcd"]
    asked = list(islice(module.in_turn(groups, Random(0)), 24))
    assert sorted(asked[:12]) == sorted(asked[12:]) == sorted(name for one in groups for name in one)
    assert all(len({one[0] for one in asked[at : at + 3]}) == 1 for at in range(0, 24, 3))


def test_prompts_are_drawn_as_packs_are_and_judged_by_their_own_words(monkeypatch):
    monkeypatch.undo()
    names = [f"{verb}_lamp" for verb in ("turn_on", "turn_off", "get", "set")]
    pool = {name: Function(name, "") for name in names}
    rows = [
        Example(id=str(n), query="the lamp", candidates=tuple(names), answers=(Call(names[n % 4]),)) for n in range(12)
    ]
    how = replace(DATA.packing, whole=0.0, list=ListConfig(least=2, most=3), substitution=1.0)
    data = replace(DATA, examples=rows, dev=rows, pool=pool, packing=how)
    groups = module.tasks(data, lambda text: list(text.encode()))
    assert sum(map(len, groups)) == 12
    for one in groups:
        lists = {bytes(task.prompt.ids).decode().partition("Query")[0] for task in one}
        assert len(lists) == 1 and "lamp" not in lists.pop()
        for task in one:
            assert task.answers[0].name in task.offered and 2 <= len(task.offered) <= 3
            assert "the lamp" not in bytes(task.prompt.ids).decode()
    own = module.dev_tasks(data, lambda text: list(text.encode()))
    assert [list(task.offered) for task in own] == [names] * 12
