"""Run by test_loss on every process: the loss of this process's share of some logits, and its gradient."""

import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed as dist

from supertiny.distill.divergence import Divergence
from supertiny.distill.loss import Signal
from supertiny.engines.megatron.worker.loss import Shard, cross_entropy_sum, divergence_sum


def main(rank: int, world: int, folder: Path) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world, timeout=timedelta(minutes=5)
    )
    found = []
    for case in torch.load(folder / "cases.pt"):
        size = case["logits"].shape[-1] // world
        shard = Shard(rank * size, dist.group.WORLD)
        own = case["logits"][:, rank * size : (rank + 1) * size].clone().requires_grad_()
        if "targets" in case:
            value = cross_entropy_sum(own * 1.0, case["targets"], case["num_ids"], shard)
        else:
            signal, divergence = Signal(**case["signal"]), Divergence(**case["divergence"])
            value = divergence_sum(own * 1.0, signal, divergence, 2, case["num_ids"], shard)
        (value * 0.25).backward()
        found.append((value.item(), own.grad))
    torch.save(found, folder / f"found-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
