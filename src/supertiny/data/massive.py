"""MASSIVE, the official <locale>.jsonl: intents become functions, annotated slots their string parameters."""

import random
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertiny.core.calls import Call, Function, Parameter, Value
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.records import Example
from supertiny.data.candidates import Oracle
from supertiny.data.dataset import Dataset, DatasetConfig, DatasetSizes, must_be_file

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
    """The file's own partitions; scenarios in `ood_scenarios` appear in the ood split alone."""
    must_be_file("dataset.massive.path", cfg.massive.path)
    rng = random.Random(f"massive:{seed}")
    utterances = read_utterances(Path(cfg.massive.path))
    held_out = set(cfg.massive.ood_scenarios)
    known = {u.scenario for u in utterances}
    if missing := held_out - known:
        raise UserError(f"{cfg.massive.path}: no scenario {sorted(missing)[0]!r} (dataset.massive.ood_scenarios)")
    pool = build_pool(utterances)
    parts = _apart([u for u in utterances if u.scenario not in held_out])
    for part in parts.values():
        rng.shuffle(part)
    unseen = [u for u in utterances if u.scenario in held_out and u.partition == "test"]
    rng.shuffle(unseen)
    num_seen = round(sizes.ood * cfg.ood_seen_share)
    chosen = {
        "train": parts["train"][sizes.expert :][: sizes.train],
        "expert": parts["train"][: sizes.expert],
        "dev": parts["dev"][: sizes.dev],
        "test": parts["test"][: sizes.test],
        "ood": parts["test"][sizes.test :][:num_seen] + unseen[: sizes.ood - num_seen],
    }
    rng.shuffle(chosen["ood"])
    in_domain = {name: function for name, function in pool.items() if function.domain not in held_out}
    oracles = {ood: Oracle(p, cfg.num_candidates, cfg.hard_share) for ood, p in ((False, in_domain), (True, pool))}
    splits = {
        split: [_row(rng, split, i, u, oracles[split == "ood"], held_out) for i, u in enumerate(rows)]
        for split, rows in chosen.items()
    }
    return Dataset(pool=pool, knowledge=[], splits=splits)


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


def _row(rng: random.Random, split: str, number: int, u: Utterance, oracle: Oracle, held_out: set[str]) -> Example:
    tags = (("unseen" if u.scenario in held_out else "seen"),) if split == "ood" else ()
    return Example(
        id=f"{split}-{number:05d}",
        query=u.query,
        candidates=oracle.offer(rng, u.call.name),
        answers=(u.call,),
        template=u.template,
        tags=tags,
    )


def _words(name: str) -> str:
    """What an identifier says: MASSIVE documents nothing more."""
    return name.replace("_", " ")
