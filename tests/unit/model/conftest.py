import pytest

from supertiny.model.checkpoint import load_model
from supertiny.model.train import ResponseLogits


@pytest.fixture(scope="session")
def tiny_module(tiny_folder):
    module = ResponseLogits(load_model(tiny_folder))
    module.requires_grad_(False)
    return module.eval()
