"""Which template belongs to which split: by sentence of the grammar, never by row."""

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from supertiny.data.home.grammar import Template

HELD_OUT = ("test", "dev")


def split_templates(templates: Iterable[Template], seed: int, shares: dict[str, float]) -> dict[str, str]:
    """Template id -> train, dev or test; `shares` of every function's templates are held out.

    Train keeps at least one template of every function, of every combination of slots and every list of values in it.
    """
    rng = random.Random(f"templates:{seed}")
    functions: dict[str, set[str]] = defaultdict(set)
    needs: dict[str, set[tuple[str, str]]] = defaultdict(set)
    left: Counter[tuple[str, str]] = Counter()
    for template in templates:
        functions[template.function].add(template.id)
        for need in (template.combo, *re.findall(r"\{(\w+)", template.id)):
            pair = (template.function, need)
            if pair not in needs[template.id]:
                needs[template.id].add(pair)
                left[pair] += 1
    home = dict.fromkeys(needs, "train")
    for split in HELD_OUT:
        for name in sorted(functions):
            ids = sorted(functions[name])
            rng.shuffle(ids)
            wanted = math.ceil(shares[split] * len(ids)) - sum(home[i] == split for i in ids)
            for template_id in ids:
                if wanted > 0 and home[template_id] == "train" and all(left[pair] > 1 for pair in needs[template_id]):
                    home[template_id] = split
                    wanted -= 1
                    for pair in needs[template_id]:
                        left[pair] -= 1
    return home


def split_plain(ids: list[str], seed: int, shares: dict[str, float]) -> dict[str, str]:
    """The same for hand-written requests, grouped by what stands before the last colon."""
    rng = random.Random(f"phrases:{seed}")
    groups: dict[str, list[str]] = defaultdict(list)
    for template_id in ids:
        groups[template_id.rpartition(": ")[0]].append(template_id)
    home = dict.fromkeys(ids, "train")
    for group in groups.values():
        rng.shuffle(group)
        num_test = min(math.ceil(shares["test"] * len(group)), len(group) - 1)
        num_dev = min(math.ceil(shares["dev"] * len(group)), len(group) - 1 - num_test)
        home.update(dict.fromkeys(group[:num_test], "test"))
        home.update(dict.fromkeys(group[num_test : num_test + num_dev], "dev"))
    return home
