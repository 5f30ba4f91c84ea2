"""The loss of a vocabulary that real processes share, over gloo, against that of one process."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from supertiny.distill.config import KINDS
from supertiny.distill.divergence import Divergence
from supertiny.distill.loss import Signal, divergence_sum
from supertiny.engines.megatron.layout import SOURCE

N, V = 7, 24
"""response tokens, rows of the head: 12 for each of two processes, 8 for each of three"""
PROGRAM = Path(__file__).parent / "shared_loss.py"


def draw(seed, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(scale * torch.randn(N, V, generator=generator) for _ in range(2))


def signal_of(teacher_NV, num_ids, counts, **more):
    """The likeliest `counts[n]` ids of each row; behind them padding, and one that the student cannot write."""
    log_p_NV = teacher_NV[:, :num_ids].log_softmax(-1)
    ids = log_p_NV.argsort(-1, descending=True)[:, : max(counts)].clone()
    log_p = log_p_NV.gather(-1, ids)
    for row, count in enumerate(counts):
        ids[row, count:], log_p[row, count:] = -1, -math.inf
    ids[2, 0] = -1
    return {"log_p_NK": log_p, "ids_NK": ids, **more}


def divergence_cases():
    """Every loss; temperatures; heads with padding that all falls to the last process, and more than its part."""
    cases = []
    for seed, (kind, mu, num_ids, temperature) in enumerate(
        (kind, mu, num_ids, temperature)
        for kind in KINDS
        for mu in (0.6, 1.0)
        for num_ids in (24, 21, 10)
        for temperature in (1.0, 2.0)
    ):
        teacher, student = draw(seed, scale=1.0 + seed % 4)
        signal = signal_of(teacher / temperature, num_ids, [3, 1, 4, 2, 5, 9, 1], temperature=temperature)
        cases.append(
            {
                "logits": student,
                "signal": signal,
                "divergence": {"loss": kind, "mu": mu, "alpha": 0.3},
                "num_ids": num_ids,
            }
        )
    return cases


def answer_cases():
    """The right token among all rows of the head, or without its padding; an extreme student too."""
    cases = []
    for seed, (num_ids, scale) in enumerate([(24, 3.0), (10, 3.0), (21, 100.0)]):
        _, student = draw(seed, scale)
        targets = torch.randint(num_ids, (N,), generator=torch.Generator().manual_seed(seed))
        cases.append({"logits": student, "targets": targets, "num_ids": num_ids})
    return cases


def on_processes(count, cases, folder):
    """What each process found of each case."""
    torch.save(cases, folder / "cases.pt")
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen([sys.executable, PROGRAM, str(rank), str(count), folder], env=environment)
        for rank in range(count)
    ]
    assert [one.wait(timeout=300) for one in started] == [0] * count
    return list(zip(*(torch.load(folder / f"found-{rank}.pt") for rank in range(count)), strict=True))


def alone(case):
    leaf = case["logits"].clone().requires_grad_()
    if "targets" in case:
        value = torch.nn.functional.cross_entropy(leaf[:, : case["num_ids"]], case["targets"], reduction="sum")
    else:
        signal, how = Signal(**case["signal"]), Divergence(**case["divergence"])
        value = divergence_sum(leaf * 1.0, signal, how, 2, case["num_ids"])
    (value * 0.25).backward()
    return value.item(), leaf.grad


@pytest.mark.engine
@pytest.mark.parametrize("count", [2, 3])
def test_the_loss_and_its_gradient_are_those_of_one_process(count, tmp_path):
    cases = [*divergence_cases(), *answer_cases()]
    for case, found in zip(cases, on_processes(count, cases, tmp_path), strict=True):
        value, gradient_NV = alone(case)
        assert len({one for one, _ in found}) == 1, "all processes say the same, to the bit"
        assert found[0][0] == pytest.approx(value, rel=2e-6, abs=1e-5)
        shared_NV = torch.cat([gradient for _, gradient in found], -1)
        torch.testing.assert_close(shared_NV, gradient_NV, atol=2e-6, rtol=1e-5)
        assert not shared_NV[:, case["num_ids"] :].any(), "padding moves nothing"
