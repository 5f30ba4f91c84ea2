"""What the card of a deployment folder says can be started."""

import pytest

from supertiny.core.git import Provenance
from supertiny.serve.export import _card


@pytest.mark.parametrize(("is_float", "servers"), [(True, 5), (False, 3)])
def test_only_what_reads_the_folder_is_named(is_float, servers):
    """TensorRT-LLM 1.2 and llama.cpp read no quantized folder; both metrics are in the table, whatever their depth."""
    card = _card("tiny", {"ar": 0.5, "qps": {"cc8": 2.0}}, Provenance("abc", "def"), is_float, "")
    commands = card.split("```")[1]
    assert commands.count("# ") == servers
    assert ("trtllm-serve" in commands) == ("llama-server" in commands) == is_float
    assert "| ar | 0.5 |" in card and "| qps.cc8 | 2.0 |" in card and "git abc, dvc.lock sha256 def" in card
