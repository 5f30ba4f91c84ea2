"""Reinforcement learning by OpenRLHF (paper App. B, E): our prompts, our reward, its trainer on many GPUs."""

import re
from pathlib import Path

import torch

from supertiny.core.config import load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, whole_folder, write_csv
from supertiny.core.resume import resumable
from supertiny.engines.openrlhf._arguments import BEST, MODULE, Files, arguments, check
from supertiny.engines.openrlhf._config import OpenrlhfConfig
from supertiny.engines.openrlhf._data import write_data
from supertiny.engines.openrlhf._log import read_log
from supertiny.launcher.config import LaunchConfig
from supertiny.launcher.process import launched, program, run_to_end
from supertiny.model import checkpoint
from supertiny.model.training import TrainMachine
from supertiny.prompt.thought import THINKS
from supertiny.rl.config import RlConfig, RlMachine
from supertiny.sft.training_set import TrainingSet


def rl(
    base: Path, data: TrainingSet, out: Path, log: Path, cfg: RlConfig, machine: TrainMachine, rolling: RlMachine
) -> None:
    """Train `base` on the rewards of its own replies; write the best policy on dev to `out`, every batch to `log`.

    `machine` and `rolling` stay unused: sections `openrlhf` and `launch` of the profile say on what.
    """
    layout, launch = load_profile("openrlhf", OpenrlhfConfig), load_profile("launch", LaunchConfig)
    check(cfg, layout)
    with resumable(f"openrlhf-{out.name}", base, cfg, data) as state:
        files = Files(base=base.absolute(), state=state.absolute())
        max_tokens = write_data(base, data, cfg, files)
        words = arguments(cfg, layout, files, max_tokens, data.seed)
        command = ["env", "RAY_DEDUP_LOGS=0", program("openrlhf", "python", launch), "-m", MODULE, *words]
        output = state / "output.log"
        print(f"openrlhf trains {base.name}; its output is in {output}", flush=True)
        words = launched(command, launch, layout.all_gpus, Path.cwd())
        run_to_end(words, output, f"openrlhf on {base.name}")
        rows = read_log(output.read_text(encoding="utf-8", errors="replace"))
        write_csv(log, rows)
        _bring_back(files, base, out)


def _bring_back(files: Files, base: Path, out: Path) -> None:
    """The best policy as one of our model folders: the base's tokenizer and its way to reply, the trained weights."""
    made = _best(files)
    if made is None:
        raise UserError(f"engine openrlhf: it ended well, but there is no model in {files.last} nor in {files.states}")
    thinks = read_json(base / "config.json").get(THINKS)
    model = checkpoint.load_model(made, torch.bfloat16)
    if model.config.vocab_size != checkpoint.load_config(base).vocab_size:
        raise UserError(f"engine openrlhf: the model in {made} has another vocabulary than {base}")
    model.config.update({THINKS: True} if thinks else {})
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
