"""The home_assistant source: five splits of a home's dialogue, apart by template and by skeleton."""

import random
import re
from dataclasses import dataclass, field, replace

from supertiny.core.calls import Answer, Call, Function, Refusal
from supertiny.core.errors import UserError
from supertiny.core.records import Example, Turn
from supertiny.data.dataset import Dataset, DatasetConfig, DatasetSizes, Oracle, lookup
from supertiny.data.home import dialogue
from supertiny.data.home.dialogue import follow_up, refused
from supertiny.data.home.english import MARK, decorate, skeleton, surface
from supertiny.data.home.functions import build_pool
from supertiny.data.home.grammar import Template, split_plain, split_templates
from supertiny.data.home.home import build_home, ordered, right_calls, twins
from supertiny.data.home.speaker import Request, Speaker, enums, is_ood, weight

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
    owner |= split_plain(dialogue.follow_up_templates() + dialogue.refusal_templates(), seed, shares)
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


MAX_TRIES = 2000
"""draws for one row before a split is given up as too small"""
MISSING_SHARE = 0.2
"""share of the `No appropriate function` rows that ask for a function of the pool which is not offered: a retriever's
miss, about one row in a hundred, which is still more than the trained retriever's at eight candidates"""
_OWNER = {"train": "train", "expert": "train", "dev": "dev", "test": "test", "seen": "test"}
_WHOLE_HOUSE = re.compile(r"\b(all|every)\b(?!.*\b(here|room)\b)")
"""a command for the whole house takes no area, so such words never mean the speaker's room"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A row before it is admitted and offered candidates."""

    template: str
    marked: str
    answers: tuple[Answer, ...]
    room: str
    near: str
    """function that the candidates gather around"""
    tags: tuple[str, ...] = ()
    history: tuple[tuple[str, Call], ...] = ()
    """(marked text, call) of the earlier turn"""


class Drawer:
    """Draws rows for `split`: train, expert, dev, test, or the two parts of ood, seen and unseen."""

    def __init__(self, world: World, split: str) -> None:
        self.world, self.split = world, split
        self.rng = random.Random(f"{world.seed}:{split}")
        self.known = split in ("train", "expert")
        self.cfg = world.cfg.home_assistant
        self.templates = self._templates()
        self.functions = list(self.templates)
        self.weights = [weight(world.pool[name]) for name in self.functions]
        self.allowed = {name for name, owner in world.owner.items() if owner == _OWNER.get(split)}
        devices = [d for group in ("light", "switch", "fan", "cover") for d in world.speaker.home.devices[group]]
        self.mentioned = {
            "device": [d.name for d in devices if not (self.known and d.held_out)],
            "area": world.speaker.home.areas,
        }
        self.nicknames = world.speaker.home.nicknames()
        self.knowledge = self.nicknames + world.speaker.home.inventory()
        self.spoken: set[tuple[str, str, str]] = set()

    def rows(self, size: int) -> list[Example]:
        """`size` different rows."""
        rows: list[Example] = []
        while len(rows) < size:
            kind = self._kind()
            drafts = (self._draft(kind) for _ in range(MAX_TRIES))
            draft = next((draft for draft in drafts if draft is not None and self._admit(draft)), None)
            if draft is None:
                raise UserError(f"dataset: only {len(rows)} of {size} different {self.split} rows found; ask for fewer")
            rows.append(self._row(draft, f"{self.split}-{len(rows):05d}"))
        return rows

    def _templates(self) -> dict[str, list[Template]]:
        """Function -> the templates this split may use."""
        world, found = self.world, {}
        for name, templates in world.speaker.by_function.items():
            if name not in world.pool or is_ood(world.pool[name].domain) != (self.split == "unseen"):
                continue
            if self.split == "unseen":
                mine = [t for t in templates if world.owner.get(t.id) != "train"] or templates
            else:
                mine = [t for t in templates if world.owner[t.id] == _OWNER[self.split]]
            if mine:
                found[name] = mine
        return found

    def _kind(self) -> str:
        """The kind of the next row, by the shares; ood rows are plain."""
        cfg = self.cfg
        shares = [cfg.follow_up_share, cfg.no_function_share, cfg.unclear_share]
        kinds = ("follow", "no function", "unclear", "plain")
        return "plain" if self.split in ("seen", "unseen") else self.rng.choices(kinds, [*shares, 1 - sum(shares)])[0]

    def _draft(self, kind: str) -> Draft | None:
        """One try at a row of `kind`."""
        if kind == "follow":
            return self._second_turn()
        if kind == "unclear":
            return self._refused(Refusal.UNCLEAR)
        if kind == "no function" and self.rng.random() >= MISSING_SHARE:
            return self._refused(Refusal.NO_FUNCTION)
        return self._plain(missing=kind == "no function")

    def _request(self) -> Request | None:
        """A request this split may say, or None."""
        name = self.rng.choices(self.functions, self.weights)[0]
        request = self.world.speaker.request(self.rng, self.templates[name], self.known)
        request = replace(request, call=ordered(request.call, self.world.pool))
        whole_house = "room" in request.tags and _WHOLE_HOUSE.search(surface(request.marked).lower())
        fits = self.world.may_say(self.split, request.marked) and self.world.means(request.marked, request.call)
        return request if fits and not whole_house else None

    def _plain(self, missing: bool) -> Draft | None:
        request = self._request()
        if request is None or (missing and request.call.name == "never_mind"):
            return None
        history = self._distractor(request.room)
        answers: tuple[Answer, ...] = (Refusal.NO_FUNCTION,) if missing else self._answers(request.call, request.domain)
        tags = ("refusal", "missing_function") if missing else request.tags
        return Draft(
            template=request.template,
            marked=request.marked,
            answers=answers,
            room=request.room,
            near=request.call.name,
            tags=tags,
            history=history,
        )

    def _distractor(self, room: str) -> tuple[tuple[str, Call], ...]:
        """Now and then, an earlier turn, spoken in the same room, that has nothing to do with the row."""
        earlier = self._request() if self.rng.random() < self.cfg.distractor_share else None
        if earlier is None:
            return ()
        here = {"area": room} if "room" in earlier.tags else {}
        return ((earlier.marked, Call(earlier.call.name, {**earlier.call.arguments, **here})),)

    def _second_turn(self) -> Draft | None:
        request = self._request()
        if request is None:
            return None
        speaker = self.world.speaker
        others = speaker.others(request.call, request.domain, self.known)
        turn = follow_up(self.rng, request.call, others, speaker.areas(request.call), self.allowed)
        answers = self._answers(turn.call, request.domain) if turn else ()
        if turn is None or not answers:  # no answers: the function cannot take what the turn before says
            return None
        return Draft(
            template=turn.template,
            marked=turn.marked,
            answers=answers,
            room=request.room,
            near=answers[0].name,
            tags=("follow_up",),
            history=((request.marked, request.call),),
        )

    def _refused(self, refusal: Refusal) -> Draft:
        template, marked = refused(self.rng, refusal, self.allowed, self.mentioned)
        room = self.rng.choice(self.world.speaker.home.areas)
        history = self._distractor(room) if refusal is Refusal.NO_FUNCTION else ()
        return Draft(
            template=template,
            marked=marked,
            answers=(refusal,),
            room=room,
            near=self.rng.choice(self.functions),
            tags=("refusal", "out_of_scope") if refusal is Refusal.NO_FUNCTION else ("refusal",),
            history=history,
        )

    def _answers(self, call: Call, domain: str) -> tuple[Call, ...]:
        return right_calls(call, domain, self.world.speaker.home, self.world.pool)

    def _admit(self, draft: Draft) -> bool:
        """Whether the row is new and keeps the splits apart; if so, it counts as said."""
        texts = [draft.marked, *(text for text, _ in draft.history)]
        if not all(self.world.may_say(self.split, text) for text in texts):
            return False
        earlier = surface(draft.history[0][0]).lower() if draft.history else ""
        room = draft.room if self.known or "room" in draft.tags else ""
        key = (surface(draft.marked).lower(), room, earlier)
        if key in self.spoken:
            return False
        self.spoken.add(key)
        for text in texts:
            self.world.say(self.split, text)
        return True

    def _row(self, draft: Draft, row_id: str) -> Example:
        query = decorate(self.rng, surface(draft.marked), self.cfg.decoration_share)
        history = tuple(
            Turn(decorate(self.rng, surface(text), self.cfg.decoration_share), call) for text, call in draft.history
        )
        found = lookup(query, self.knowledge)
        tags = [tag for tag in draft.tags if tag != "knowledge"]
        tags += ["knowledge"] if lookup(query, self.nicknames) else []
        tags += ["distractor"] if history and "follow_up" not in tags else []
        tags += [self.split] if self.split in ("seen", "unseen") else []
        minute = self.rng.randrange(6 * 60, 24 * 60)
        return Example(
            id=row_id,
            query=query,
            context={"room": draft.room, "time": f"{minute // 60:02d}:{minute % 60:02d}"},
            history=history,
            knowledge=found,
            candidates=self._candidates(draft),
            answers=draft.answers,
            template=draft.template,
            tags=tuple(tags),
        )

    def _candidates(self, draft: Draft) -> tuple[str, ...]:
        oracle = self.world.oracles[self.split in ("seen", "unseen")]
        missing = "missing_function" in draft.tags
        return oracle.offer(self.rng, draft.near, include=not missing, without=twins(draft.near) if missing else ())


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
