"""The user's own files: a function pool and queries, labelled or not, checked at the door.

    functions   JSON list of tools in the OpenAI schema
    queries     JSONL of examples (`supertiny.core.records.Example`): `id` and `query` are required; `answers`,
                `context`, `history`, `knowledge`, `candidates`, `template`, `tags` are read where they stand
    verdicts    JSONL of replies that experts judged (`supertiny.judge.verdicts.Judged`): `id`, `example` (the id of a
                labelled query), `reply` (what a model wrote), `correct`; optional
    knowledge   JSON list of {"term", "explanation"}: the explanation of each term found in a query joins those that
                its row brings, and the row is tagged `knowledge`; optional

Rows without answers join the unlabelled training pool. Labelled rows share out over expert, dev, test and
train, those of judged replies to expert; those tagged `unseen` form the ood split, those tagged `unseen_dev` the
dev_ood split, and their functions are never trained on.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from supertiny.core.calls import Call, Function, Parameter, Value
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.records import REFUSAL, SEEN, UNSEEN, Example, read_examples, read_functions
from supertiny.data.dataset import (
    NEW,
    Dataset,
    DatasetConfig,
    DatasetSizes,
    Knowledge,
    Lists,
    lookup,
    must_be_file,
    read_knowledge,
    spread,
)
from supertiny.judge.verdicts import Judged, read_judged

_SLOT = re.compile(r"\[\s*([^\[\]:]+?)\s*:\s*([^\[\]]+?)\s*\]")
_FIELDS = ("id", "partition", "scenario", "intent", "utt", "annot_utt")
_PARTITIONS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One annotated line of the file."""

    id: str
    partition: str
    scenario: str
    query: str
    call: Call
    template: str
    """the utterance with its slots' values replaced by their names"""


def massive(cfg: DatasetConfig, sizes: DatasetSizes, seed: int) -> Dataset:
    """The file's own partitions; held-out scenarios appear in the split alone that they are held out for."""
    must_be_file("dataset.massive.path", cfg.massive.path)
    rng = random.Random(f"massive:{seed}")
    utterances = read_utterances(Path(cfg.massive.path))
    held_out = dict.fromkeys(cfg.massive.ood_scenarios, "ood") | dict.fromkeys(cfg.massive.dev_ood_scenarios, "dev_ood")
    known = {u.scenario for u in utterances}
    for scenario, split in held_out.items():
        if scenario not in known:
            raise UserError(f"{cfg.massive.path}: no scenario {scenario!r} (dataset.massive.{split}_scenarios)")
    parts = _apart([u for u in utterances if u.scenario not in held_out])
    for part in parts.values():
        rng.shuffle(part)
    expert = parts["train"][: sizes.expert]
    num_seen = round(sizes.ood * cfg.ood_seen_share)
    chosen = {
        "train": _without(expert, parts["train"][sizes.expert :])[: sizes.train],
        "expert": expert,
        "dev": parts["dev"][: sizes.dev],
        "test": parts["test"][: sizes.test],
    }
    for split, partition, size in (("dev_ood", "dev", sizes.dev_ood), ("ood", "test", sizes.ood - num_seen)):
        unseen = [u for u in utterances if held_out.get(u.scenario) == split and u.partition == partition]
        rng.shuffle(unseen)
        chosen[split] = _without(parts["train"], unseen)[:size]
    chosen["ood"] += parts["test"][sizes.test :][:num_seen]
    rng.shuffle(chosen["ood"])
    pool = build_pool(utterances)
    lists = Lists(cfg, pool, {n: held_out[one.domain] for n, one in pool.items() if one.domain in held_out})
    splits = {
        split: [_row(rng, split, i, u, lists, u.scenario in held_out) for i, u in enumerate(rows)]
        for split, rows in chosen.items()
    }
    return Dataset(pool=lists.pool, knowledge=[], splits=splits)


def read_utterances(path: Path) -> list[Utterance]:
    """Every line of the file, checked; a fault names line and field."""
    return [_utterance(row, f"{path}, line {number}") for number, row in read_jsonl(path)]


def build_pool(utterances: Iterable[Utterance]) -> dict[str, Function]:
    """A function per intent, with every slot that any of its utterances fills."""
    slots: dict[str, set[str]] = defaultdict(set)
    scenario: dict[str, str] = {}
    for u in utterances:
        slots[u.call.name] |= set(u.call.arguments)
        scenario[u.call.name] = u.scenario
    return {
        name: Function(name, _words(name), {s: Parameter("string", _words(s)) for s in sorted(slots[name])}, domain)
        for name, domain in sorted(scenario.items())
    }


def parse_annotation(text: str) -> tuple[dict[str, Value], str]:
    """(slot values, template) of an annotated utterance; a slot said twice becomes one text.

    >>> parse_annotation("wake me at [time : five am]")
    ({'time': 'five am'}, 'wake me at {time}')
    """
    values: dict[str, Value] = {}
    for slot, value in _SLOT.findall(text):
        values[slot] = f"{values[slot]}, {value}" if slot in values else value
    return values, re.sub(r"\s+", " ", _SLOT.sub(lambda match: f"{{{match[1]}}}", text)).strip()


def _utterance(row: Any, where: str) -> Utterance:
    for name in _FIELDS:
        value = row.get(name) if isinstance(row, dict) else None
        if not isinstance(value, str) or not value.strip():
            raise UserError(f"{where}: field {name!r}: expected a text, got {value!r}")
    if row["partition"] not in _PARTITIONS:
        raise UserError(f"{where}: field 'partition': {row['partition']!r} is none of {', '.join(_PARTITIONS)}")
    values, template = parse_annotation(row["annot_utt"])
    call = Call(row["intent"], values)
    return Utterance(row["id"], row["partition"], row["scenario"], row["utt"], call, template)


def _apart(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """The partitions without the training and dev rows whose template the test has, and so on down."""
    parts: dict[str, list[Utterance]] = {}
    claimed: set[str] = set()
    for partition in ("test", "dev", "train"):
        parts[partition] = [u for u in utterances if u.partition == partition and u.template.lower() not in claimed]
        claimed |= {u.template.lower() for u in parts[partition]}
    return parts


def _without(others: list[Utterance], utterances: list[Utterance]) -> list[Utterance]:
    """Those whose template none of the `others` has."""
    said = {u.template.lower() for u in others}
    return [u for u in utterances if u.template.lower() not in said]


def _row(rng: random.Random, split: str, number: int, u: Utterance, lists: Lists, unseen: bool) -> Example:
    return Example(
        id=f"{split}-{number:05d}",
        query=u.query,
        candidates=lists.offer(split, rng, u.call.name),
        answers=(u.call,),
        template=u.template,
        tags=((UNSEEN if unseen else SEEN),) if split in NEW else (),
    )


def _words(name: str) -> str:
    """What an identifier says: MASSIVE documents nothing more."""
    return name.replace("_", " ")


def own(cfg: DatasetConfig, sizes: DatasetSizes, seed: int) -> Dataset:
    """Split the user's rows by template (or, without one, by query), the same way for the same seed."""
    for name in ("functions", "queries", "verdicts", "knowledge"):
        must_be_file(f"dataset.own.{name}", getattr(cfg.own, name))
    pool = read_functions(Path(cfg.own.functions))
    path = Path(cfg.own.queries)
    knowledge = read_knowledge(Path(cfg.own.knowledge)) if cfg.own.knowledge else []
    rows = [_explained(row, knowledge) for row in read_examples(path, pool)]
    held_out = _held_out(rows, path)
    rng = random.Random(f"own:{seed}")
    seen_rows = [row for row in rows if not _about(row)]
    verdicts = _verdicts(cfg.own.verdicts, seen_rows)
    splits = _share_out(seen_rows, sizes, rng, path, {verdict.example for verdict in verdicts or ()})
    for split, like, size, share in (
        ("dev_ood", "dev", sizes.dev_ood, 0.0),
        ("ood", "test", sizes.ood, cfg.ood_seen_share),
    ):
        splits[split] = _new([row for row in rows if _about(row) == split], splits[like], size, share, rng)
    lists = Lists(cfg, pool, held_out)
    offered = {split: [_offer(rng, row, split, lists) for row in part] for split, part in splits.items()}
    return Dataset(pool=lists.pool, knowledge=knowledge, splits=offered, verdicts=verdicts)


TAGGED = {UNSEEN: "ood", "unseen_dev": "dev_ood"}
"""tag of a row whose function is never trained on -> the split of such rows"""


def _about(row: Example) -> str:
    """The split that a tag names; none for most rows."""
    return next((split for tag, split in TAGGED.items() if tag in row.tags), "")


def _held_out(rows: Sequence[Example], path: Path) -> dict[str, str]:
    """Function -> the split that all rows are tagged for that call it; what is tagged is measured on, so labelled."""
    found = {name: (_about(row), tag) for tag in TAGGED for row in rows if tag in row.tags for name in _called([row])}
    for row in rows:
        if _about(row) and not row.answers:
            why = f"a row tagged {' or '.join(TAGGED)} is one to measure on; label it, or take the tag off"
            raise UserError(f"{path}, id {row.id!r}: field 'answers': {why}")
        for name in sorted(_called([row]) & found.keys()):
            split, tag = found[name]
            if _about(row) != split:
                why = f"{name!r} is also called by a row tagged {tag}; tag all rows of a function so, or none"
                raise UserError(f"{path}, id {row.id!r}: field 'answers': {why}")
    return {name: split for name, (split, _) in found.items()}


def _explained(row: Example, knowledge: Knowledge) -> Example:
    """The row with the explanations of its query's terms behind those it brings."""
    found = lookup(row.query, knowledge)
    if not found:
        return row
    tags = dict.fromkeys((*row.tags, "knowledge"))
    return replace(row, knowledge=tuple(dict.fromkeys((*row.knowledge, *found))), tags=tuple(tags))


def _verdicts(path: str | None, rows: list[Example]) -> list[Judged] | None:
    """The experts' verdicts, each on a labelled row that is not tagged `unseen`; None where the user gives none."""
    return read_judged(Path(path), {row.id: row for row in rows if row.answers}) if path else None


def _share_out(
    rows: list[Example], sizes: DatasetSizes, rng: random.Random, path: Path, judged: set[str]
) -> dict[str, list[Example]]:
    """Whole templates go to test, dev and expert as long as they fit (at most a quarter each); rest: train.

    The first of each goes there whatever its size.
    Templates with a row whose id is in `judged` all go to expert, whatever its size.
    """
    labelled: dict[str, list[Example]] = {}
    unlabelled = [row for row in rows if not row.answers]
    for row in rows:
        if row.answers:
            labelled.setdefault(row.skeleton, []).append(row)
    experts = [row for group in labelled.values() if any(one.id in judged for one in group) for row in group]
    groups = [group for group in labelled.values() if not any(row.id in judged for row in group)]
    if len(groups) + bool(experts) < 4:
        few = f"only {len(groups) + bool(experts)} labelled templates, those with a judged reply counted as one"
        raise UserError(f"{path}: field 'answers': {few}; 4 are needed (one a split)")
    rng.shuffle(groups)
    splits: dict[str, list[Example]] = {}
    for split, size in (("test", sizes.test), ("dev", sizes.dev), ("expert", sizes.expert)):
        first = experts if split == "expert" and experts else groups.pop()
        limit = min(size, sum(map(len, labelled.values())) // 4)
        splits[split] = [*first, *_take(groups, limit - len(first))]
    held_out = {row.skeleton for split in ("test", "dev") for row in splits[split]}
    train = [row for group in groups for row in group] + [row for row in unlabelled if row.skeleton not in held_out]
    rng.shuffle(train)
    return {**splits, "train": train[: sizes.train]}


def _take(groups: list[list[Example]], room: int) -> list[Example]:
    """The rows of the last groups that fit into `room` rows, which leave the list; three groups stay."""
    taken: list[Example] = []
    for at in reversed(range(len(groups))):
        if len(groups) > 3 and len(taken) + len(groups[at]) <= room:
            taken += groups.pop(at)
    return taken


def _new(unseen: list[Example], like: list[Example], size: int, seen_share: float, rng: random.Random) -> list[Example]:
    """Unseen rows; of the split that it is `like`, calls at `seen_share` and as many refusals for a call as it has.

    Empty where no row is unseen.
    """
    calls = [row for row in like if _called([row])]
    refused = [row for row in like if not _called([row])]
    ratio = len(refused) / max(len(calls), 1)
    chosen = rng.sample(unseen, min(len(unseen), round(size / (1 + ratio) * (1 - seen_share))))
    seen = calls[: round(len(chosen) * seen_share / (1 - seen_share))]
    borrowed = [seen, refused[: round((len(chosen) + len(seen)) * ratio)]]
    for rows in borrowed:
        rng.shuffle(rows)
    parts = [chosen, *([replace(row, id=f"seen-{row.id}") for row in rows] for rows in borrowed)]
    return [_tagged(row) for row in spread(parts)]


def _tagged(row: Example) -> Example:
    """The row, tagged by what its call stands for: the rates of seen and unseen functions are of calls alone."""
    kept = [tag for tag in row.tags if tag not in TAGGED]
    tag = (UNSEEN if _about(row) else SEEN) if _called([row]) else REFUSAL
    return replace(row, tags=tuple(dict.fromkeys((*kept, tag))))


def _offer(rng: random.Random, row: Example, split: str, lists: Lists) -> Example:
    """The row with what it is offered, where it brought no candidates."""
    if row.candidates:
        return row
    anything = rng.choice(list(lists.known(split))) if row.answers else None
    return replace(row, candidates=lists.offer(split, rng, next(iter(_called([row])), anything)))


def _called(rows: Sequence[Example]) -> set[str]:
    return {answer.name for row in rows for answer in row.answers[:1] if isinstance(answer, Call)}
