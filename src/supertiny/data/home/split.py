"""Which template belongs to which split: by sentence of the grammar, never by row."""

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from supertiny.data.home.english import sounds_like
from supertiny.data.home.grammar import Template

HELD_OUT = ("test", "dev")
_SLOT = re.compile(r"\{(\w+)(?::\w+)?\}")


def sentence(template_id: str) -> str:
    """What the template says, whatever it asks for: templates of one sentence belong to one split.

    >>> sentence("HassSetPosition: put the {name} at {position} percent")
    'put the {name} at {number} percent'
    >>> sentence("follow: value brightness: no, {x} percent") == sentence("follow: value position: no, {x} percent")
    True
    """
    text = template_id.rpartition(": ")[2].replace("{it}", "it")
    return _SLOT.sub(lambda slot: "{" + ("number" if slot[1] == "x" else sounds_like(slot[1])) + "}", text)


def split_templates(templates: Iterable[Template], seed: int, shares: dict[str, float]) -> dict[str, str]:
    """Template id -> train, dev or test; `shares` of every function's sentences are held out.

    Templates that say the same sentence go together.
    Train keeps at least one template of every function, of every combination of slots and every list of values in it.
    """
    rng = random.Random(f"templates:{seed}")
    functions: dict[str, set[str]] = defaultdict(set)
    needs: dict[str, set[tuple[str, str]]] = defaultdict(set)
    left: Counter[tuple[str, str]] = Counter()
    templates = list(templates)
    for template in templates:
        said = sentence(template.id)
        functions[template.function].add(said)
        for need in (template.combo, *re.findall(r"\{(\w+)", template.id)):
            pair = (template.function, need)
            if pair not in needs[said]:
                needs[said].add(pair)
                left[pair] += 1
    home = dict.fromkeys(needs, "train")
    for split in HELD_OUT:
        for name in sorted(functions):
            sentences = sorted(functions[name])
            rng.shuffle(sentences)
            wanted = math.ceil(shares[split] * len(sentences)) - sum(home[said] == split for said in sentences)
            for said in sentences:
                if wanted > 0 and home[said] == "train" and all(left[pair] > 1 for pair in needs[said]):
                    home[said] = split
                    wanted -= 1
                    for pair in needs[said]:
                        left[pair] -= 1
    return {template.id: home[sentence(template.id)] for template in templates}


def split_plain(ids: list[str], seed: int, shares: dict[str, float]) -> dict[str, str]:
    """The same for hand-written requests, grouped by what stands before the last colon.

    A sentence of several groups goes where the first of them puts it; train keeps some sentence of every group.
    """
    rng = random.Random(f"phrases:{seed}")
    groups: dict[str, list[str]] = defaultdict(list)
    for template_id in ids:
        groups[template_id.rpartition(": ")[0]].append(sentence(template_id))
    home: dict[str, str] = {}
    for group in groups.values():
        free = [said for said in group if said not in home]
        rng.shuffle(free)
        for split in HELD_OUT:
            kept = sum(home.get(said, "train") == "train" for said in group)
            wanted = math.ceil(shares[split] * len(group)) - sum(home.get(said) == split for said in group)
            wanted = max(0, min(wanted, len(free), kept - 1))
            home.update(dict.fromkeys(free[:wanted], split))
            free = free[wanted:]
        home.update(dict.fromkeys(free, "train"))
    return {template_id: home[sentence(template_id)] for template_id in ids}
