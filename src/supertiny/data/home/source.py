"""The home_assistant source: the splits of a home's dialogue, apart by template and by skeleton."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from supertiny.core.calls import Answer, Call, Function, Refusal
from supertiny.core.errors import UserError
from supertiny.core.records import MISSING, OUT_OF_SCOPE, REFUSAL, SEEN, UNSEEN, Example, Turn
from supertiny.data.dataset import DOMAIN, Dataset, DatasetConfig, DatasetSizes, HomeConfig, Lists, lookup, spread
from supertiny.data.home import dialogue
from supertiny.data.home.dialogue import follow_up, refused
from supertiny.data.home.english import MARK, decorate, skeleton, surface
from supertiny.data.home.functions import build_pool
from supertiny.data.home.grammar import Template, split_plain, split_templates
from supertiny.data.home.home import build_home, ordered, right_calls, twins
from supertiny.data.home.speaker import Request, Speaker, enums, is_ood, weight

Meaning = tuple[str, tuple[tuple[str, str], ...]]
"""a call without its values: function, and where each argument's value comes from"""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that are drawn together: a split, or one of the two parts of ood."""

    split: str
    owner: str
    """whose templates and sentences it says"""
    about: str = DOMAIN
    """what the functions it asks for are held out for"""
    tag: str = ""
    """of its calls, where functions decide what is measured"""


PARTS = {
    **{split: Part(split, split) for split in ("train", "expert", "dev", "test")},
    "dev_ood": Part("dev_ood", "dev", "dev_ood", UNSEEN),
    SEEN: Part("ood", "test", DOMAIN, SEEN),
    UNSEEN: Part("ood", "test", "ood", UNSEEN),
}


@dataclass(slots=True, kw_only=True)
class World:
    """The shared state of a run of the source; the splits are drawn from it one after the other."""

    cfg: DatasetConfig
    seed: int
    speaker: Speaker
    lists: Lists
    held_out: dict[str, str]
    """function -> the split that is about it, of those that are never trained on"""
    owner: dict[str, str]
    """template -> train, expert, dev or test; a template of held-out functions alone has no owner"""
    claimed: dict[str, str] = field(default_factory=dict)
    """skeleton -> the owner who says it; no other does"""
    meanings: dict[str, Meaning] = field(default_factory=dict)
    """delexicalised request -> its one meaning"""

    def may_say(self, owner: str, marked: str) -> bool:
        """Whether this sentence is still anybody's, or the owner's own."""
        return self.claimed.get(skeleton(marked), owner) == owner

    def say(self, owner: str, marked: str) -> None:
        """Record that the owner says this sentence."""
        self.claimed[skeleton(marked)] = owner

    def means(self, marked: str, answer: Answer) -> bool:
        """Whether the wording has meant this before, or nothing yet (then it does from now on)."""
        wording = _wording(marked)
        return self.meanings.setdefault(wording, _meaning(marked, answer)) == _meaning(marked, answer)


def build_world(cfg: DatasetConfig, seed: int) -> World:
    """The home of `seed`, its functions, and the split of every template."""
    home_cfg = cfg.home_assistant
    shares = {
        "test": home_cfg.test_template_share,
        "dev": home_cfg.dev_template_share,
        "expert": home_cfg.expert_template_share,
    }
    home = build_home(seed, home_cfg.held_out_share)
    speaker = Speaker(home, home_cfg.nickname_share)
    pool = build_pool(speaker.slots_of(), enums(speaker.templates))
    held_out = {name: "ood" for name, function in pool.items() if is_ood(function.domain)}
    _must_be_of_the_domain(home_cfg.dev_ood_functions, {name: pool[name] for name in pool if name not in held_out})
    held_out |= dict.fromkeys(home_cfg.dev_ood_functions, "dev_ood")
    owner = split_templates([t for t in speaker.templates if t.function not in held_out], seed, shares)
    owner |= split_plain(dialogue.follow_up_templates() + dialogue.refusal_templates(), seed, shares)
    return World(cfg=cfg, seed=seed, speaker=speaker, lists=Lists(cfg, pool, held_out), held_out=held_out, owner=owner)


def _must_be_of_the_domain(names: list[str], domain: Mapping[str, Function]) -> None:
    """The functions held out for dev_ood are known, each named once, and of every kind of thing one is left."""
    where = "params.yaml: dataset.home_assistant.dev_ood_functions"
    for at, name in enumerate(names):
        if name not in domain:
            raise UserError(f"{where}: {name!r} is none of the domain's functions: {', '.join(domain)}")
        if name in names[:at]:
            raise UserError(f"{where}: {name!r} stands there twice; name it once")
    left = {function.domain for name, function in domain.items() if name not in names}
    for name in names:
        if domain[name].domain not in left:
            raise UserError(
                f"{where}: {name!r}: no function of {domain[name].domain!r} is left to learn from; leave one"
            )


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
FOLLOW_UP, UNCLEAR, PLAIN = "follow_up", "unclear", "plain"
"""kinds of rows beside `OUT_OF_SCOPE` and `MISSING`; all but the last are tags too. Missing: what is asked for is in
the pool, but it and what could do the same are not offered, as when a retriever misses it: the nearest that a request
comes to a function and is refused"""
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
    """Draws the rows of a part."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.part = world, name, PARTS[name]
        self.rng = random.Random(f"{world.seed}:{name}")
        self.known = name in ("train", "expert")
        self.cfg = world.cfg.home_assistant
        self.pool = world.lists.known(self.part.split)
        self.templates = self._templates()
        self.functions = list(self.templates)
        self.weights = [weight(self.pool[name]) for name in self.functions]
        self.allowed = {name for name, owner in world.owner.items() if owner == self.part.owner}
        devices = [d for group in ("light", "switch", "fan", "cover") for d in world.speaker.home.devices[group]]
        self.mentioned = {
            "device": [d.name for d in devices if not (self.known and d.held_out)],
            "area": world.speaker.home.areas,
        }
        self.nicknames = world.speaker.home.nicknames()
        self.knowledge = self.nicknames + world.speaker.home.inventory()
        self.spoken: set[tuple[str, str, str]] = set()

    def rows(self, wanted: Mapping[str, int]) -> list[Example]:
        """Different rows, as many of each kind as are wanted, in random order."""
        kinds = [kind for kind, count in wanted.items() for _ in range(count)]
        self.rng.shuffle(kinds)
        rows: list[Example] = []
        for kind in kinds:
            drafts = (self._draft(kind) for _ in range(MAX_TRIES))
            draft = next((draft for draft in drafts if draft is not None and self._admit(draft)), None)
            if draft is None:
                found = f"only {len(rows)} of {len(kinds)} different {self.name} rows found"
                raise UserError(f"dataset: {found}; ask for fewer")
            rows.append(self._row(draft, f"{self.name}-{len(rows):05d}"))
        return rows

    def _templates(self) -> dict[str, list[Template]]:
        """Function -> the templates this part may use: its owner's, and those that nobody else says."""
        world, mine, found = self.world, self.part.owner, {}
        for name, templates in world.speaker.by_function.items():
            if name in self.pool and world.held_out.get(name, DOMAIN) == self.part.about:
                found[name] = [t for t in templates if world.owner.get(t.id, mine) == mine]
        return {name: templates for name, templates in found.items() if templates}

    def _draft(self, kind: str) -> Draft | None:
        """One try at a row of `kind`."""
        if kind == FOLLOW_UP:
            return self._second_turn()
        if kind == UNCLEAR:
            return self._refused(Refusal.UNCLEAR)
        return self._refused(Refusal.NO_FUNCTION) if kind == OUT_OF_SCOPE else self._plain(kind == MISSING)

    def can_ask_for(self, name: str) -> bool:
        """Whether one of many tries at a request for function `name` may be said."""
        return name in self.functions and any(self._request(name) for _ in range(MAX_TRIES))

    def _request(self, name: str = "") -> Request | None:
        """A request this part may say, for function `name` or any, or None."""
        name = name or self.rng.choices(self.functions, self.weights)[0]
        request = self.world.speaker.request(self.rng, self.templates[name], self.known)
        request = replace(request, call=ordered(request.call, self.pool))
        whole_house = "room" in request.tags and _WHOLE_HOUSE.search(surface(request.marked).lower())
        fits = self.world.may_say(self.part.owner, request.marked) and self.world.means(request.marked, request.call)
        return request if fits and not whole_house else None

    def _plain(self, missing: bool) -> Draft | None:
        request = self._request()
        if request is None or (missing and request.call.name == "never_mind"):
            return None
        history = self._distractor(request.room)
        answers: tuple[Answer, ...] = (Refusal.NO_FUNCTION,) if missing else self._answers(request.call, request.domain)
        tags = (REFUSAL, MISSING) if missing else request.tags
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
        if turn is None or not answers:  # no answers: the function is held out, or cannot take what was said before
            return None
        return Draft(
            template=turn.template,
            marked=turn.marked,
            answers=answers,
            room=request.room,
            near=answers[0].name,
            tags=(FOLLOW_UP,),
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
            tags=(REFUSAL, OUT_OF_SCOPE if refusal is Refusal.NO_FUNCTION else UNCLEAR),
            history=history,
        )

    def _answers(self, call: Call, domain: str) -> tuple[Call, ...]:
        return right_calls(call, domain, self.world.speaker.home, self.pool)

    def _admit(self, draft: Draft) -> bool:
        """Whether the row is new and keeps the splits apart; if so, it counts as said."""
        texts = [draft.marked, *(text for text, _ in draft.history)]
        if not all(self.world.may_say(self.part.owner, text) for text in texts):
            return False
        earlier = surface(draft.history[0][0]).lower() if draft.history else ""
        room = draft.room if self.known or "room" in draft.tags else ""
        key = (surface(draft.marked).lower(), room, earlier)
        if key in self.spoken:
            return False
        self.spoken.add(key)
        for text in texts:
            self.world.say(self.part.owner, text)
        return True

    def _row(self, draft: Draft, row_id: str) -> Example:
        query = decorate(self.rng, surface(draft.marked), self.cfg.decoration_share)
        history = tuple(
            Turn(decorate(self.rng, surface(text), self.cfg.decoration_share), call) for text, call in draft.history
        )
        found = lookup(query, self.knowledge)
        tags = [tag for tag in draft.tags if tag != "knowledge"]
        tags += ["knowledge"] if lookup(query, self.nicknames) else []
        tags += ["distractor"] if history and FOLLOW_UP not in tags else []
        tags += [self.part.tag] if self.part.tag and REFUSAL not in tags else []
        return Example(
            id=row_id,
            query=query,
            context={"room": draft.room},
            history=history,
            knowledge=found,
            candidates=self._candidates(draft),
            answers=draft.answers,
            template=draft.template,
            tags=tuple(tags),
        )

    def _candidates(self, draft: Draft) -> tuple[str, ...]:
        without = {draft.near, *twins(draft.near)} if MISSING in draft.tags else ()
        return self.world.lists.offer(self.part.split, self.rng, draft.near, without)


def refusals(cfg: HomeConfig, size: int) -> dict[str, int]:
    """Refusals of each kind in a split of `size` rows: alike in all, or one split would measure another's habits."""
    shares = {
        OUT_OF_SCOPE: cfg.no_function_share * (1 - cfg.missing_share),
        MISSING: cfg.no_function_share * cfg.missing_share,
        UNCLEAR: cfg.unclear_share,
    }
    return {kind: round(share * size) for kind, share in shares.items()}


def home_assistant(cfg: DatasetConfig, sizes: DatasetSizes, seed: int) -> Dataset:
    """Sample the package's grammar in the home of `seed`; what is held out claims its sentences before train does."""
    world, home_cfg = build_world(cfg, seed), cfg.home_assistant
    splits = {}
    for split, size in (("test", sizes.test), ("dev", sizes.dev), ("expert", sizes.expert), ("train", sizes.train)):
        wanted = {FOLLOW_UP: round(home_cfg.follow_up_share * size), **refusals(home_cfg, size)}
        splits[split] = Drawer(world, split).rows({**wanted, PLAIN: size - sum(wanted.values())})
    splits["dev_ood"] = _dev_ood(world, sizes.dev_ood) if home_cfg.dev_ood_functions else []
    splits["ood"] = _ood(world, sizes.ood)
    home = world.speaker.home
    return Dataset(pool=world.lists.pool, knowledge=home.nicknames() + home.inventory(), splits=splits)


def _dev_ood(world: World, size: int) -> list[Example]:
    """Functions held out for it, and refusals; an error where one of them has no sentence that training lacks."""
    drawer, refused = Drawer(world, "dev_ood"), refusals(world.cfg.home_assistant, size)
    for name in world.cfg.home_assistant.dev_ood_functions:
        if not drawer.can_ask_for(name):
            why = "all that asks for it is said in training too, of other functions; hold out another"
            raise UserError(f"params.yaml: dataset.home_assistant.dev_ood_functions: {name!r}: {why}")
    return drawer.rows({**refused, PLAIN: size - sum(refused.values())})


def _ood(world: World, size: int) -> list[Example]:
    """Seen and unseen functions, mixed; of what is asked for and not offered, half is of either."""
    refused = refusals(world.cfg.home_assistant, size)
    num_seen, new_missing = round(size * world.cfg.ood_seen_share), refused[MISSING] // 2
    seen = {**refused, MISSING: refused[MISSING] - new_missing, PLAIN: num_seen}
    unseen = {MISSING: new_missing, PLAIN: size - num_seen - sum(refused.values())}
    mixed = Drawer(world, SEEN).rows(seen) + Drawer(world, UNSEEN).rows(unseen)
    random.Random(f"ood:{world.seed}").shuffle(mixed)
    parts = [[row for row in mixed if tag in row.tags] for tag in (UNSEEN, SEEN, REFUSAL)]
    return [replace(row, id=f"ood-{i:05d}") for i, row in enumerate(spread(parts))]
