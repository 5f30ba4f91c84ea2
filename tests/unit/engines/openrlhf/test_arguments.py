"""OpenRLHF's command line, read by OpenRLHF's own parser and checks."""

from dataclasses import replace
from pathlib import Path

import pytest

from supertiny.core.errors import UserError
from supertiny.engines.openrlhf.arguments import Files, OpenrlhfConfig, arguments
from supertiny.model.config import FitConfig, FrozenConfig
from supertiny.rl.config import CollapseConfig, RlConfig
from tests import flags, openrlhf

FIT = FitConfig(learning_rate=3e-7, warmup_share=0.05, schedule="constant", weight_decay=0.0, max_grad_norm=1.0)
NOTHING = FrozenConfig(embeddings=False, blocks=0.0, prefix=False)
TABLE_6 = RlConfig(
    shuffle_seed=0, prompts_a_batch=16, rollouts=8, batches=1400, epochs=1,
    prompts_a_step=16, temperature=1.0, max_new_tokens=512, clip=0.2, kl_coef=0.001, kl_clamp=10.0, reward_clip=10.0,
    variance_floor=1e-8, dev_points=7, frozen=NOTHING, fit=FIT,
    collapse=CollapseConfig(reward_drop=1.0, min_tokens=8.0, max_cut_share=0.5, batches=3),
)  # fmt: skip
NODE = OpenrlhfConfig(
    nodes=1, gpus=8, tensor_parallel=2, zero_stage=3, memory_share=0.6, micro_batch=2, gradient_checkpointing=True,
    attention="flash_attention_2", save_steps=200,
)  # fmt: skip
FILES = Files(base=Path("/m/thinking"), state=Path("/s"))


def words(cfg=TABLE_6, machine=NODE):
    return arguments(cfg, machine, FILES, 1024, 42)


def test_every_option_is_one_that_openrlhf_knows():
    """By whole name too: its parser would take any beginning of one for it."""
    known = flags.snapshot("openrlhf")
    flags.taken(words(), known)
    given = [word for word in words() if word.startswith("--")]
    assert len(given) == len(set(given)) and set(given) <= set(known["options"])


def test_the_snapshot_is_what_the_installed_package_says():
    assert flags.described(openrlhf.options()) == flags.snapshot("openrlhf")["options"]


def test_openrlhf_reads_the_papers_settings_and_its_own_checks_pass():
    """App. E, Table 6: REINFORCE++-baseline, k2 in the loss with .001, 8 rollouts, 128 replies a batch, 3e-7."""
    args = openrlhf.read(words())
    advantage, kl, rollout, train = args.algo.advantage, args.algo.kl, args.rollout, args.train
    assert (advantage.estimator, advantage.no_std_norm, advantage.gamma) == ("reinforce_baseline", False, 1)
    assert (kl.use_loss, kl.estimator, kl.init_coef, kl.target) == (True, "k2", 0.001, None)
    assert (rollout.n_samples_per_prompt, rollout.batch_size, train.batch_size) == (8, 16, 128)
    assert (rollout.temperature, rollout.top_p, rollout.max_new_tokens, args.data.max_len) == (1.0, 1.0, 512, 1024)
    assert (args.actor.adam.lr, args.actor.adam.betas, args.actor.max_norm) == (3e-7, [0.9, 0.95], 1.0)
    assert (args.actor.lr_scheduler, args.actor.lr_warmup_ratio) == ("constant_with_warmup", 0.05)
    assert (args.actor.eps_clip_low_high, args.actor.loss_agg_mode) == ((0.2, 0.2), "token-mean")
    assert args.reward.clip_range == [-10.0, 10.0] and args.reward.remote_url == ["/s/reward.py"]
    assert args.critic.model_name_or_path is None and args.actor.policy_loss_type == "ppo"
    assert (args.data.prompt_dataset, args.data.input_key, args.data.label_key) == (
        "/s/prompts.jsonl",
        "prompt",
        "label",
    )
    assert not args.data.apply_chat_template and args.data.input_template is None
    assert (args.eval.steps, args.eval.temperature, args.eval.n_samples_per_prompt) == (200, 0.0, 1)


def test_the_layout_is_the_profiles():
    args = openrlhf.read(words())
    assert (args.actor.num_nodes, args.actor.num_gpus_per_node, args.ref.num_gpus_per_node) == (1, 8, 8)
    assert (args.vllm.num_engines, args.vllm.tensor_parallel_size, args.vllm.gpu_memory_utilization) == (4, 2, 0.6)
    assert args.train.colocate_all and args.vllm.enable_sleep and args.ds.enable_sleep and args.ds.packing_samples
    assert (args.ds.zero_stage, args.ds.param_dtype, args.ds.attn_implementation) == (3, "bf16", "flash_attention_2")
    assert args.actor.num_nodes * args.actor.num_gpus_per_node == args.vllm.num_engines * 2  # colocate_all wants it
    assert not openrlhf.read(
        words(machine=replace(NODE, gradient_checkpointing=False))
    ).actor.gradient_checkpointing_enable


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_every_schedule_of_ours_is_one_of_transformers(schedule):
    from transformers import SchedulerType

    args = openrlhf.read(words(replace(TABLE_6, fit=replace(FIT, schedule=schedule))))
    assert SchedulerType(args.actor.lr_scheduler)


@pytest.mark.parametrize(
    ("cfg", "machine", "message"),
    [
        (replace(TABLE_6, frozen=replace(NOTHING, embeddings=True)), NODE, r"rl\.frozen: .*every weight"),
        (replace(TABLE_6, frozen=replace(NOTHING, blocks=0.5)), NODE, r"rl\.frozen\.blocks: 0\.0"),
        (replace(TABLE_6, kl_clamp=5.0), NODE, r"rl\.kl_clamp: 5\.0, but OpenRLHF's is 10\.0"),
        (replace(TABLE_6, variance_floor=1e-6), NODE, r"rl\.variance_floor: 1e-06, but"),
        (replace(TABLE_6, prompts_a_step=3), NODE, r"prompts_a_step: 3 must divide rl\.prompts_a_batch: 16"),
        (TABLE_6, replace(NODE, gpus=6), r"= 128 replies of one step must be a multiple of .* = 12"),
    ],
)
def test_what_openrlhf_would_do_otherwise_is_refused(cfg, machine, message):
    with pytest.raises(UserError, match=message):
        words(cfg, machine)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"zero_stage": 1}, "zero_stage: expected 2 or 3"),
        ({"memory_share": 1.0}, "memory_share: expected above 0 and below 1"),
        ({"tensor_parallel": 3}, "tensor_parallel: expected a divisor of all 8 GPUs, got 3"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        replace(NODE, **change)
