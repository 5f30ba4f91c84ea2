"""Reinforcement learning by OpenRLHF (paper App. B, E): our prompts, our reward, its trainer on many GPUs."""

import ast
import re
from collections.abc import Mapping
from itertools import islice
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

import torch
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

import supertiny
from supertiny.core.config import load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, whole_folder, write_csv, write_jsonl, write_text
from supertiny.core.prompt import ANSWER, THINKS
from supertiny.core.records import Example
from supertiny.core.stage import resumable
from supertiny.engines.openrlhf.arguments import BEST, DEV_METRIC, MODULE, Files, OpenrlhfConfig, arguments, check
from supertiny.engines.openrlhf.reward_file import label
from supertiny.engines.servers.launch import LaunchConfig, launched, program, run_to_end
from supertiny.model import checkpoint
from supertiny.model.train import Job
from supertiny.rl.config import RlConfig, RlMachine
from supertiny.rl.rewards import Level
from supertiny.rl.rollouts import Task, dev_tasks, in_turn, tasks
from supertiny.sft.packs import TrainingSet

REWARD = '''"""The reward of supertiny, for OpenRLHF's processes, wherever they run."""

import sys

sys.path.insert(0, {source!r})
from supertiny.engines.openrlhf.reward_file import reward_func  # noqa: E402, F401
'''


def write_data(base: Path, data: TrainingSet, cfg: RlConfig, files: Files) -> int:
    """Write prompts, dev prompts and reward file; returns the tokens of the longest prompt and its reply.

    There are as many rows as prompts in all rollout batches, so that one episode of OpenRLHF is the whole run.
    """
    tokenizer = checkpoint.load_tokenizer(base)
    groups = [[_row(task, tokenizer) for task in group] for group in tasks(data, _letters)]
    dev_rows = [_row(task, tokenizer) for task in dev_tasks(data, _letters)]
    rows = list(islice(in_turn(groups, Random(cfg.shuffle_seed)), cfg.batches * cfg.prompts_a_batch))
    write_jsonl(files.prompts, rows)
    write_jsonl(files.dev, dev_rows)
    write_text(files.reward, REWARD.format(source=str(Path(supertiny.__file__).parents[1])))
    _warn_of_other_tokens(data, tokenizer)
    encode = checkpoint.encoder(tokenizer)
    return max(len(encode(row["prompt"])) for row in [*rows, *dev_rows]) + cfg.max_new_tokens


def _letters(text: str) -> list[int]:
    """A prompt as bytes in place of token ids: OpenRLHF tokenizes texts."""
    return list(text.encode())


def _row(task: Task, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    example = Example(id="", query="", candidates=tuple(task.offered), answers=task.answers)
    scored_by = label(example, task.offered, task.syntax, tokenizer.eos_token)
    return {"prompt": bytes(task.prompt.ids).decode(), "label": scored_by}


def _warn_of_other_tokens(data: TrainingSet, tokenizer: PreTrainedTokenizerBase) -> None:
    """The two parts of a prompt are tokenized apart here, and as one text there; that should make no difference."""
    encode = checkpoint.encoder(tokenizer)
    told, texts = dev_tasks(data, encode), dev_tasks(data, _letters)
    pairs = [(list(one.prompt.ids), bytes(other.prompt.ids).decode()) for one, other in zip(told, texts, strict=True)]
    differing = sum(ids != encode(text) for ids, text in pairs)
    if differing:
        tqdm.write(f"warning: {differing} of {len(told)} dev prompts have other tokens in OpenRLHF than here")


STEP = re.compile(r"Global step (\d+): (\{.*\})")
DEV = re.compile(r"Evaluation completed in .*?, global_step (\d+), eval_metrics: (\{.*\})")
COLUMNS = {
    "reward": "rollout/reward_mean",
    "format": "format",
    "tokens": "rollout/response_length_mean",
    "cut_share": "rollout/truncated_rate",
    **{f"share: {level}": f"level: {level}" for level in Level},
    "policy": "policy_loss",
    "k2": "kl",
    "clipped": "ppo_clip_ratio",
    "entropy": "entropy_loss",
    "learning_rate": "actor_lr",
    "unscored": "unscored",
}
"""ours -> OpenRLHF's"""


def read_log(text: str) -> list[dict[str, Any]]:
    """One row a rollout batch, from 1; what a run that was started again repeats counts once, as it came last."""
    steps, dev = _found(STEP, text), _found(DEV, text)
    if not steps:
        raise UserError("engine openrlhf: its output holds no 'Global step' line; is it version 0.11.2?")
    rows, best, best_step = [], None, 0
    for step, said in sorted(steps.items()):
        measured = dev.get(step, {}).get(DEV_METRIC)
        if measured is not None and (best is None or measured > best):
            best, best_step = measured, step
        known = {ours: _number(said.get(theirs)) for ours, theirs in COLUMNS.items()}
        at_dev = {"dev_reward": _number(measured), "kept_step": "" if measured is None else best_step}
        rows.append({"step": step, "batch": step, **known, **at_dev, "dev_ar": "", "start_reward": ""})
    return rows


def _found(pattern: re.Pattern[str], text: str) -> dict[int, Mapping[str, Any]]:
    """The dictionaries that a kind of line shows, by step; a line that another one cut in two is left out."""
    rows = {}
    for step, shown in pattern.findall(text):
        try:
            rows[int(step)] = ast.literal_eval(re.sub(r"\b(nan|inf)\b", "None", shown))
        except (ValueError, SyntaxError):
            continue
    return rows


def _number(value: Any) -> Any:
    return round(value, 5) if isinstance(value, int | float) and isfinite(value) else ""


def rl(job: Job, data: TrainingSet, cfg: RlConfig, rolling: RlMachine) -> None:
    """Train the job's base on the rewards of its own replies; write the best policy on dev, and every batch to the log.

    `job.machine` and `rolling` stay unused: sections `openrlhf` and `launch` of the profile say on what.
    """
    base, layout, launch = job.base, load_profile("openrlhf", OpenrlhfConfig), load_profile("launch", LaunchConfig)
    check(cfg, layout)
    with resumable(f"openrlhf-{job.out.name}", base, cfg, data) as state:
        files = Files(base=base.absolute(), state=state.absolute())
        max_tokens = write_data(base, data, cfg, files)
        words = arguments(cfg, layout, files, max_tokens, data.seed)
        command = ["env", "RAY_DEDUP_LOGS=0", program("openrlhf", "python", launch), "-m", MODULE, *words]
        output = state / "output.log"
        print(f"openrlhf trains {base.name}; its output is in {output}", flush=True)
        words = launched(command, launch, layout.all_gpus, Path.cwd())
        run_to_end(words, output, f"openrlhf on {base.name}")
        rows = read_log(output.read_text(encoding="utf-8", errors="replace"))
        write_csv(job.log, rows)
        _bring_back(files, base, job.out)


def _bring_back(files: Files, base: Path, out: Path) -> None:
    """The best policy as one of our model folders: the base's tokenizer and its way to reply, the trained weights."""
    made = _best(files)
    if made is None:
        raise UserError(f"engine openrlhf: it ended well, but there is no model in {files.last} nor in {files.states}")
    way = {name: value for name, value in read_json(base / "config.json").items() if name in (THINKS, ANSWER)}
    model = checkpoint.load_model(made, torch.bfloat16)
    if model.config.vocab_size != checkpoint.load_config(base).vocab_size:
        raise UserError(f"engine openrlhf: the model in {made} has another vocabulary than {base}")
    model.config.update(way)
    with whole_folder(out) as partial:
        checkpoint.save(model, checkpoint.load_tokenizer(base), partial)


def _best(files: Files) -> Path | None:
    """The folder of the policy that earned most on dev: the last that was kept as such; else the last of all."""
    kept = {
        int(found[1]): folder
        for folder in files.states.glob(f"{BEST}*_hf")
        if (found := re.fullmatch(rf"{BEST}(\d+)_hf", folder.name)) and (folder / "config.json").is_file()
    }
    if kept:
        return kept[max(kept)]
    return files.last if (files.last / "config.json").is_file() else None
