"""What OpenRLHF's trainer does to files, without training: its own parser, its own caller of reward files, its output.

Every prompt is answered by the same reply; two steps are made up; the model that comes of it is the base with weights
in bfloat16, one of them changed. `FAKE_OPENRLHF=die` ends it after the first step, once.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests import openrlhf

REPLY = "<think>open</think><answer>Request unclear</answer>"
CHANGED = "model.norm.weight"


def main() -> None:
    args = openrlhf.read(sys.argv[1:])
    states = Path(args.ckpt.path)
    tokenizer = AutoTokenizer.from_pretrained(args.actor.model_name_or_path)
    rows = [json.loads(line) for line in Path(args.data.prompt_dataset).read_text().splitlines()]
    rewards = asyncio.run(_rewards(args, tokenizer, rows[: args.rollout.batch_size]))
    batches = len(rows) // args.rollout.batch_size
    done = int((states / "done").read_text()) if args.ckpt.load_enable and (states / "done").is_file() else 0
    for step in range(done + 1, batches + 1):
        _step(step, rewards, args)
        states.mkdir(parents=True, exist_ok=True)
        (states / "done").write_text(str(step))
        if os.environ.get("FAKE_OPENRLHF") == "die" and step == 1 and not done:
            print("CUDA error: out of memory", flush=True)
            sys.exit(1)
    for folder, value in ((states / "best_global_step1_hf", 1.5), (Path(args.ckpt.output_dir), 2.5)):
        model = AutoModelForCausalLM.from_pretrained(args.actor.model_name_or_path, dtype=torch.bfloat16)
        model.state_dict()[CHANGED].fill_(value)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


async def _rewards(args: Any, tokenizer: Any, rows: list[dict[str, str]]) -> list[dict[str, float]]:
    """What OpenRLHF's own executor gets from the reward file, for the reply to each prompt."""
    with openrlhf.importable("openrlhf", "openrlhf.utils"):
        from openrlhf.utils.agent import SingleTurnAgentExecutor

    executor = SingleTurnAgentExecutor(args.reward.remote_url)
    ids = tokenizer(REPLY, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]

    async def generate(prompt_ids: list[int], params: Any, multi_modal_data: Any = None) -> Any:
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=ids, finish_reason="stop", logprobs=None)])

    asked = SimpleNamespace(max_tokens=args.rollout.max_new_tokens, logprobs=None)
    engine = SimpleNamespace(generate=generate)
    found = []
    for row in rows:
        prompt, label = row[args.data.input_key], row[args.data.label_key]
        done = await executor.execute(prompt, label, asked, args.data.max_len, tokenizer, engine)
        found.append({"reward": done["reward"], **done["extra_logs"]})
    return found


def _step(step: int, rewards: list[dict[str, float]], args: Any) -> None:
    means = {name: sum(row[name] for row in rewards) / len(rewards) for name in rewards[0]}
    status = {"policy_loss": 0.0, "kl": 0.01 * step, "ppo_clip_ratio": 0.0, "entropy_loss": 1.0, **means}
    status |= {
        "rollout/reward_mean": means["reward"],
        "rollout/response_length_mean": 9.0,
        "rollout/truncated_rate": 0.0,
    }
    print(f"(PPOTrainer pid=1) INFO ] ✨ Global step {step}: {status}", flush=True)
    if step % args.eval.steps == 0:
        metrics = {args.ckpt.best_metric_key: means["reward"]}
        line = f"✨ Evaluation completed in 0:00:01, global_step {step}, eval_metrics: {metrics}"
        print(f"(PPOTrainer pid=1) INFO ] {line}", flush=True)


if __name__ == "__main__":
    main()
