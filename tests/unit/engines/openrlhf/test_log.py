"""OpenRLHF's output becomes the log of a run, whatever else it prints and however often it was started."""

import pytest

from supertiny.core.errors import UserError
from supertiny.engines.openrlhf.rl import read_log
from supertiny.report.steps.rl import FOLLOWED, KEPT

STEP = (
    "\x1b[36m(PPOTrainer pid=7)\x1b[0m INFO 11-23 09:00:00 ppo_trainer.py:537] ✨ Global step {step}: {{"
    "'policy_loss': -0.1, 'kl': {kl}, 'ppo_clip_ratio': 0.0, 'entropy_loss': 0.4, 'actor_lr': 3e-07, 'format': 0.5, "
    "'answer': -1.0, 'level: correct': 0.25, 'level: no answer': 0.5, 'unscored': 0.0, "
    "'rollout/reward_mean': {reward}, 'rollout/response_length_mean': 40.5, 'rollout/truncated_rate': 0.125}}\n"
)
DEV = (
    "(PPOTrainer pid=7) INFO 11-23 09:00:09 ppo_trainer.py:600] ✨ Evaluation completed in 0:00:05, "
    "global_step {step}, eval_metrics: {{'eval_default_pass1': {reward}, 'eval_num_samples': 60.0}}\n"
)


def test_each_rollout_batch_is_a_row_with_the_native_engines_columns():
    text = "Episode [1/1]:  50%|##\n" + STEP.format(step=1, kl=0.001, reward=0.123456) + DEV.format(step=1, reward=0.5)
    text += STEP.format(step=2, kl=0.002, reward=0.75) + STEP.format(step=3, kl="nan", reward=1)
    rows = read_log(text + DEV.format(step=3, reward=0.25))
    assert [row["step"] for row in rows] == [1, 2, 3] and {*FOLLOWED, *KEPT, "step"} <= rows[0].keys()
    first = rows[0]
    assert (first["reward"], first["k2"], first["tokens"], first["cut_share"]) == (0.12346, 0.001, 40.5, 0.125)
    assert (first["share: correct"], first["share: no answer"], first["share: wrong"]) == (0.25, 0.5, "")
    assert [row["dev_reward"] for row in rows] == [0.5, "", 0.25] and [row["kept_step"] for row in rows] == [1, "", 1]
    assert rows[2]["k2"] == "" and rows[2]["reward"] == 1


def test_what_a_run_that_was_started_again_repeats_counts_as_it_came_last():
    text = "".join(STEP.format(step=step, kl=0.0, reward=reward) for step, reward in [(1, 0.1), (2, 0.2), (2, 0.9)])
    assert [row["reward"] for row in read_log(text)] == [0.1, 0.9]


def test_a_line_that_another_one_cuts_in_two_is_left_out():
    text = STEP.format(step=1, kl=0.0, reward=0.1) + "Global step 2: {'policy_loss': (worker) 0.1}\n"
    assert [row["step"] for row in read_log(text)] == [1]


def test_output_of_another_program_is_an_error():
    with pytest.raises(UserError, match="holds no 'Global step' line"):
        read_log("hello\n")
