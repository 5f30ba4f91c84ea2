"""The home_assistant source: five splits of a home's dialogue, apart by template and by skeleton."""

import random
from dataclasses import replace

from supertiny.data.dataset import Dataset, DatasetConfig, DatasetSizes
from supertiny.data.home.drawer import Drawer
from supertiny.data.home.world import build_world


def home_assistant(cfg: DatasetConfig, sizes: DatasetSizes, seed: int) -> Dataset:
    """Sample the package's grammar in the home of `seed`; test and dev claim their skeletons before train is drawn."""
    world = build_world(cfg, seed)
    splits = {}
    for split, size in (("test", sizes.test), ("dev", sizes.dev), ("train", sizes.train), ("expert", sizes.expert)):
        splits[split] = Drawer(world, split).rows(size)
    num_seen = round(sizes.ood * cfg.ood_seen_share)
    mixed = Drawer(world, "seen").rows(num_seen) + Drawer(world, "unseen").rows(sizes.ood - num_seen)
    random.Random(f"ood:{seed}").shuffle(mixed)
    splits["ood"] = [replace(row, id=f"ood-{i:05d}") for i, row in enumerate(mixed)]
    home = world.speaker.home
    return Dataset(pool=world.pool, knowledge=home.nicknames() + home.inventory(), splits=splits)
