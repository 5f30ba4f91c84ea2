"""The training loop: what it computes, and that a killed run ends where an uninterrupted one does."""

import copy
import csv

import pytest
import torch
from torch.nn.functional import cross_entropy as torch_cross_entropy

from supertiny.core.errors import UserError
from supertiny.model.batches import Branch, Pack, collate
from supertiny.model.config import SCHEDULES, FitConfig, TrainMachine
from supertiny.model.train import ResponseLogits, Run, cross_entropy, fit
from tests.project import killed_before_step

CONFIG = FitConfig(learning_rate=1e-3, warmup_share=0.2, schedule="cosine", weight_decay=0.1, max_grad_norm=1.0)
MACHINE = TrainMachine(precision="float32", max_tokens=64, gradient_checkpointing=False, save_minutes=1e-9, processes=1)


def packs(number):
    generator = torch.Generator().manual_seed(number)
    ids = lambda size: torch.randint(0, 250, (size,), generator=generator).tolist()  # noqa: E731
    return [Pack(ids(5), (Branch(ids(3), ids(2 + row)), Branch(ids(2), ids(4)))) for row in range(2)]


def run(steps=6):
    plan = [[packs(2 * step), packs(2 * step + 1)] for step in range(steps)]
    return Run(plan, lambda micro: collate(micro, 256), cross_entropy, dev=[packs(99)], dev_points=2)


def train(model, tmp_path, plan, cfg=CONFIG, machine=MACHINE, name="log.csv"):
    fit(ResponseLogits(model), plan, cfg, machine, 0, tmp_path / name, tmp_path / "state")
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_one_step_is_adamw_on_the_token_mean_of_the_whole_step(tiny, tmp_path):
    """Two micro-batches of different token counts: the mean is over all tokens, not over micro-batches."""
    oracle = copy.deepcopy(tiny)
    flat = CONFIG.__class__(
        learning_rate=1e-3, warmup_share=0.0, schedule="constant", weight_decay=0.0, max_grad_norm=1e9
    )
    plan = Run([[packs(0)[:1], packs(1)]], lambda micro: collate(micro, 256), cross_entropy)
    found = train(tiny, tmp_path, plan, flat)

    losses = []
    for pack in [*packs(0)[:1], *packs(1)]:
        for branch in pack.branches:
            ids = torch.tensor([pack.prefix + branch.prompt + branch.response])
            logits = oracle(ids).logits[0, -len(branch.response) - 1 : -1]
            losses.append(torch_cross_entropy(logits, torch.tensor(branch.response), reduction="none"))
    optimizer = torch.optim.AdamW(oracle.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0)
    torch.cat(losses).mean().backward()
    optimizer.step()
    for key, value in oracle.state_dict().items():
        torch.testing.assert_close(found[key], value, atol=2e-6, rtol=1e-4)
    row = next(csv.DictReader((tmp_path / "log.csv").open()))
    assert float(row["loss"]) == pytest.approx(torch.cat(losses).mean().item(), abs=1e-4)


def test_a_killed_run_ends_at_the_same_weights_and_log(tiny, tmp_path, capsys):
    whole = train(copy.deepcopy(tiny), tmp_path / "whole", run())
    with killed_before_step(3):
        train(copy.deepcopy(tiny), tmp_path / "killed", run())
    resumed = train(copy.deepcopy(tiny), tmp_path / "killed", run())
    assert "resuming after step 3" in capsys.readouterr().out
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert (tmp_path / "whole/log.csv").read_bytes() == (tmp_path / "killed/log.csv").read_bytes()


def test_a_corrupt_state_is_named(tiny, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state/state.pt").write_bytes(b"junk")
    with pytest.raises(UserError, match=r"state\.pt.*delete it"):
        train(tiny, tmp_path, run())


def test_gradient_checkpointing_changes_memory_not_results(tiny, tmp_path):
    plain = train(copy.deepcopy(tiny), tmp_path / "a", run(2))
    saving = copy.copy(MACHINE)
    saving.gradient_checkpointing = True
    again = train(copy.deepcopy(tiny), tmp_path / "b", run(2), machine=saving)
    for key in plain:
        torch.testing.assert_close(plain[key], again[key], atol=1e-6, rtol=1e-5)


def test_divergence_stops_with_the_remedy(tiny, tmp_path):
    with torch.no_grad():
        tiny.model.norm.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="diverged at step 1.*learning_rate"):
        train(tiny, tmp_path, run())


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_rise_to_the_peak_once_and_never_again(name):
    factors = [SCHEDULES[name](step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and max(factors) == 1.0
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_linear_and_cosine_are_half_way_at_half_time():
    assert SCHEDULES["linear"](55, 100, 0.1) == pytest.approx(0.5)
    assert SCHEDULES["cosine"](55, 100, 0.1) == pytest.approx(0.5)
