import pytest

from supertiny.data.dataset import Dataset, DatasetConfig, DatasetSizes, HomeConfig, MassiveConfig, OwnConfig
from supertiny.data.home.source import home_assistant


def make_config(**changes) -> DatasetConfig:
    home = HomeConfig(
        language="en",
        follow_up_share=0.12,
        distractor_share=0.08,
        nickname_share=0.12,
        no_function_share=0.06,
        missing_share=0.3,
        unclear_share=0.04,
        decoration_share=0.25,
        test_template_share=0.15,
        dev_template_share=0.08,
        expert_template_share=0.08,
        held_out_share=0.2,
        dev_ood_functions=["decrease_timer", "unlock_door", "set_fan_speed", "get_cover_state", "turn_off_mode"],
    )
    settings = {
        "source": "home_assistant",
        "lists": "pool",
        "num_candidates": 8,
        "hard_share": 0.6,
        "ood_seen_share": 0.35,
        "home_assistant": home,
        "massive": MassiveConfig(path="", ood_scenarios=[], dev_ood_scenarios=[]),
        "own": OwnConfig(functions="", queries="", verdicts=None, knowledge=None),
    }
    return DatasetConfig(**{**settings, **changes})


SIZES = DatasetSizes(train=2500, expert=60, dev=150, dev_ood=100, test=400, ood=150)


@pytest.fixture(scope="session")
def home_dataset() -> Dataset:
    return home_assistant(make_config(), SIZES, 0)
