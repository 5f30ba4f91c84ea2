"""What a worker refuses before it does anything: what it says is left for the stage that started it."""

import sys
from importlib import util

import pytest

from supertiny.core.errors import UserError
from supertiny.engines.megatron import train
from supertiny.engines.megatron.layout import Layout
from supertiny.engines.megatron.worker import __main__ as worker


def test_without_megatron_core_it_says_how_to_install_it(tmp_path, monkeypatch):
    find = util.find_spec
    monkeypatch.setattr(worker, "find_spec", lambda name: None if name == "megatron" else find(name))
    monkeypatch.setattr(sys, "argv", ["worker", str(tmp_path)])
    with pytest.raises(SystemExit):
        worker.main()
    assert "needs Megatron-Core" in (tmp_path / train.ERROR).read_text()


@pytest.mark.parametrize(("started", "said"), [("1", "started 1 processes"), (None, "started no processes")])
def test_fewer_processes_than_the_layout_wants_are_refused(monkeypatch, started, said):
    pytest.importorskip("megatron.core", reason="Megatron-Core is not installed")
    from supertiny.engines.megatron.worker.parallel import join

    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if started:
        monkeypatch.setenv("WORLD_SIZE", started)
    with pytest.raises(UserError, match=f"{said} of torchrun, but the run is laid out for 2: tensor_parallel 2"):
        join(Layout(2, 1, 1), seed=0)
