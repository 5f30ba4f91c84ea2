"""Run by test_worker under torchrun: each job's model as it was loaded, and the gradients of its first step."""

import json
import sys
from pathlib import Path

import torch

from supertiny.engines.megatron.train import read
from supertiny.engines.megatron.worker.model import export, master
from supertiny.engines.megatron.worker.parallel import join, leave
from supertiny.engines.megatron.worker.run import exported, prepare
from supertiny.model import checkpoint


def main(folders: list[Path]) -> None:
    """All jobs are of one layout."""
    place = join(read(folders[0]).layout, seed=0)
    for folder in folders:
        given = read(folder)
        config = checkpoint.load_config(given.job.base)
        model, trainer = prepare(given, place, folder)
        (folder / "loaded").mkdir(exist_ok=True)
        export(model, config, place, folder / "loaded" / exported(place.stage))
        loss = trainer._run(trainer._share(given.steps[0]), learn=True)
        dev = trainer._dev_loss()
        for parameter in model.parameters():
            if parameter.requires_grad:
                master(parameter).data.copy_(parameter.main_grad)
        export(model, config, place, folder / exported(place.stage))
        if place.is_first:
            (folder / "losses.json").write_text(json.dumps({"loss": loss, "dev": dev}))
        torch.distributed.barrier()
    leave()


if __name__ == "__main__":
    main([Path(one) for one in sys.argv[1:]])
