"""What all splits share: the speaker, the function pool, who owns which template, and what has been said."""

import re
from dataclasses import dataclass, field

from supertiny.core.calls import Answer, Call, Function
from supertiny.data.candidates import Oracle
from supertiny.data.dataset import DatasetConfig
from supertiny.data.home import followups, refusals
from supertiny.data.home.documents import build_pool
from supertiny.data.home.english import MARK, skeleton
from supertiny.data.home.inventory import build_home
from supertiny.data.home.speaker import Speaker, enums, is_ood
from supertiny.data.home.split import split_plain, split_templates

Meaning = tuple[str, tuple[tuple[str, str], ...]]
"""a call without its values: function, and where each argument's value comes from"""


@dataclass(slots=True, kw_only=True)
class World:
    """The shared state of a run of the source; the splits are drawn from it one after the other."""

    cfg: DatasetConfig
    seed: int
    speaker: Speaker
    pool: dict[str, Function]
    owner: dict[str, str]
    """template -> train, dev or test; a template of OOD functions alone has no owner"""
    oracles: dict[bool, Oracle]
    """whether OOD functions may be offered -> who offers"""
    claimed: dict[str, str] = field(default_factory=dict)
    """skeleton -> the held-out split that says it; train never does"""
    trained: set[str] = field(default_factory=set)
    """skeletons of train and expert"""
    meanings: dict[str, Meaning] = field(default_factory=dict)
    """delexicalised request -> its one meaning"""

    def may_say(self, split: str, marked: str) -> bool:
        """Whether `split` may hold this sentence: held-out skeletons stay out of train, and the reverse."""
        said = skeleton(marked)
        if split in ("train", "expert"):
            return said not in self.claimed
        return said not in self.trained and self.claimed.get(said, split) in (
            split,
            "test" if split == "seen" else split,
        )

    def say(self, split: str, marked: str) -> None:
        """Record that `split` holds this sentence."""
        if split in ("train", "expert"):
            self.trained.add(skeleton(marked))
        elif split in ("test", "dev"):
            self.claimed[skeleton(marked)] = split

    def means(self, marked: str, answer: Answer) -> bool:
        """Whether the wording has meant this before, or nothing yet (then it does from now on)."""
        wording = _wording(marked)
        return self.meanings.setdefault(wording, _meaning(marked, answer)) == _meaning(marked, answer)


def build_world(cfg: DatasetConfig, seed: int) -> World:
    """The home of `seed`, its functions, and the split of every template."""
    shares = {"test": cfg.home_assistant.test_template_share, "dev": cfg.home_assistant.dev_template_share}
    home = build_home(seed, cfg.home_assistant.held_out_share)
    speaker = Speaker(home, cfg.home_assistant.nickname_share)
    pool = build_pool(speaker.slots_of(), enums(speaker.templates))
    in_domain = {name: function for name, function in pool.items() if not is_ood(function.domain)}
    owner = split_templates([t for t in speaker.templates if t.function in in_domain], seed, shares)
    owner |= split_plain(followups.all_templates() + refusals.all_templates(), seed, shares)
    offers = {ood: Oracle(p, cfg.num_candidates, cfg.hard_share) for ood, p in ((False, in_domain), (True, pool))}
    return World(cfg=cfg, seed=seed, speaker=speaker, pool=pool, owner=owner, oracles=offers)


def _wording(marked: str) -> str:
    """The skeleton with the kind of device each name stands for, which is what tells functions apart."""
    return skeleton(marked) + " | " + " ".join(match[1] for match in MARK.finditer(marked))


def _meaning(marked: str, answer: Answer) -> Meaning:
    """Where each argument comes from: a slot of the sentence, or elsewhere (room, fixed wording)."""
    if not isinstance(answer, Call):
        return str(answer), ()
    slots = " ".join(re.sub(":.*", "", match[1]) for match in MARK.finditer(marked))
    return answer.name, tuple(sorted((key, slots) for key in answer.arguments))
