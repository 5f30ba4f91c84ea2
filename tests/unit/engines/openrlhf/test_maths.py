"""OpenRLHF's own advantages and k2 on the CPU, beside ours: the two engines optimize the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from supertiny.rl.loss import advantages, k2
from tests import openrlhf

CHILD = Path(__file__).with_name("their_maths.py")
REWARDS = [[3.0, -2.0, -0.2], [-0.5, -0.5, -0.5], [3.0, 3.0, -25.0]]
TOKENS = [[4, 2, 3], [1, 5, 2], [3, 3, 1]]
"""of each reply"""


@pytest.mark.engine
def test_advantages_and_k2_are_openrlhfs():
    generator = torch.Generator().manual_seed(0)
    log_p, reference = (torch.randn(2, 6, generator=generator) * 4 for _ in range(2))
    asked = {"rewards": REWARDS, "tokens": TOKENS, "log_p": log_p.tolist(), "reference": reference.tolist()}
    command = [sys.executable, str(CHILD), str(openrlhf.package())]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout)
    counts = torch.tensor(TOKENS).flatten()
    mask_RT = torch.arange(int(counts.max()))[None] < counts[:, None]
    ours_RT = advantages(torch.tensor(REWARDS), mask_RT, 10.0, 1e-8)
    found_RT = torch.tensor(theirs["advantages"])
    assert torch.allclose(ours_RT[mask_RT], found_RT[mask_RT], atol=1e-6) and bool(ours_RT[mask_RT].any())
    assert torch.allclose(k2(log_p, reference, 10.0), torch.tensor(theirs["k2"]), atol=1e-6)
    assert float(k2(log_p, reference, 10.0).max()) == 10.0  # the clamp is part of what is compared
