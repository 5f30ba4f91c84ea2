import pytest

from supertiny.core.calls import Answer
from supertiny.data.dataset import DatasetSizes
from supertiny.data.home.source import home_assistant
from tests.unit.data.conftest import make_config


@pytest.fixture(scope="session")
def home():
    return home_assistant(make_config(), DatasetSizes(train=300, expert=30, dev=40, dev_ood=40, test=60, ood=60), 0)


@pytest.fixture(scope="session")
def home_pool(home):
    """The function pool of the home."""
    return home.pool


@pytest.fixture(scope="session")
def home_answers(home) -> list[Answer]:
    """Every answer of its splits, equivalent ones included."""
    return [answer for split in home.splits.values() for example in split for answer in example.answers]
