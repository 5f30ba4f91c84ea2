"""The user's own files: a function pool and queries, labelled or not, checked at the door.

    functions   JSON list of tools in the OpenAI schema
    queries     JSONL of examples (`supertiny.core.records.Example`): `id` and `query` are required; `answers`,
                `context`, `history`, `knowledge`, `candidates`, `template`, `tags` are read where they stand
    verdicts    JSONL of replies that experts judged (`supertiny.judge.verdicts.Judged`): `id`, `example` (the id of a
                labelled query), `reply` (what a model wrote), `correct`; optional
    knowledge   JSON list of {"term", "explanation"}: the explanation of each term found in a query joins those that
                its row brings, and the row is tagged `knowledge`; optional

Rows without answers join the unlabelled training pool. Labelled rows share out over expert, dev, test and
train, those of judged replies to expert; those tagged `unseen` form the ood split, and their functions are never
trained on.
"""

import random
from dataclasses import replace
from pathlib import Path

from supertiny.core.calls import Call
from supertiny.core.errors import UserError
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.data.candidates import Oracle
from supertiny.data.dataset import Dataset, DatasetConfig, DatasetSizes, Knowledge, must_be_file
from supertiny.data.knowledge import lookup, read_knowledge
from supertiny.judge.verdicts import Judged, read_judged


def own(cfg: DatasetConfig, sizes: DatasetSizes, seed: int) -> Dataset:
    """Split the user's rows by template (or, without one, by query), the same way for the same seed."""
    for name in ("functions", "queries", "verdicts", "knowledge"):
        must_be_file(f"dataset.own.{name}", getattr(cfg.own, name))
    pool = read_functions(Path(cfg.own.functions))
    path = Path(cfg.own.queries)
    knowledge = read_knowledge(Path(cfg.own.knowledge)) if cfg.own.knowledge else []
    rows = [_explained(row, knowledge) for row in read_examples(path, pool)]
    unseen = [row for row in rows if "unseen" in row.tags]
    hidden = _called(unseen)
    for row in rows:
        if "unseen" not in row.tags and (name := next(iter(_called([row]) & hidden), "")):
            raise UserError(f"{path}, id {row.id!r}: field 'answers': {name!r} is also called by a row tagged unseen")
    seen = {name: function for name, function in pool.items() if name not in hidden}
    rng = random.Random(f"own:{seed}")
    seen_rows = [row for row in rows if "unseen" not in row.tags]
    verdicts = _verdicts(cfg.own.verdicts, seen_rows)
    splits = _share_out(seen_rows, sizes, rng, path, {verdict.example for verdict in verdicts or ()})
    splits["ood"] = _ood(unseen, splits["test"], sizes.ood, cfg.ood_seen_share, rng)
    offers = {ood: Oracle(p, cfg.num_candidates, cfg.hard_share) for ood, p in ((False, seen), (True, pool))}
    offered = {split: [_offer(rng, row, offers[split == "ood"]) for row in part] for split, part in splits.items()}
    return Dataset(pool=pool, knowledge=knowledge, splits=offered, verdicts=verdicts)


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
            labelled.setdefault(_group(row), []).append(row)
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
    held_out = {_group(row) for split in ("test", "dev") for row in splits[split]}
    train = [row for group in groups for row in group] + [row for row in unlabelled if _group(row) not in held_out]
    rng.shuffle(train)
    return {**splits, "train": train[: sizes.train]}


def _take(groups: list[list[Example]], room: int) -> list[Example]:
    """The rows of the last groups that fit into `room` rows, which leave the list; three groups stay."""
    taken: list[Example] = []
    for at in reversed(range(len(groups))):
        if len(groups) > 3 and len(taken) + len(groups[at]) <= room:
            taken += groups.pop(at)
    return taken


def _ood(unseen: list[Example], test: list[Example], size: int, seen_share: float, rng: random.Random) -> list[Example]:
    """Unseen rows with test rows (renamed) at `seen_share`; empty where no row is tagged unseen.

    Stages measure the first rows, so both are spread evenly: the share holds of any first rows, within one row.
    """
    chosen = rng.sample(unseen, min(len(unseen), round(size * (1 - seen_share))))
    num_seen = round(len(chosen) * seen_share / (1 - seen_share))
    seen = [replace(row, id=f"seen-{row.id}", tags=(*row.tags, "seen")) for row in test[:num_seen]]
    rng.shuffle(seen)
    spread = [((i + 0.5) / len(part), row) for part in (chosen, seen) for i, row in enumerate(part)]
    return [row for _, row in sorted(spread, key=lambda placed: placed[0])]


def _offer(rng: random.Random, row: Example, oracle: Oracle) -> Example:
    """The row with candidates, where it brought none and its function is known."""
    names = sorted(_called([row]))
    if row.candidates or not row.answers:
        return row
    near = names[0] if names else rng.choice(list(oracle.pool))
    return replace(row, candidates=oracle.offer(rng, near, include=bool(names)))


def _called(rows: list[Example]) -> set[str]:
    return {answer.name for row in rows for answer in row.answers[:1] if isinstance(answer, Call)}


def _group(row: Example) -> str:
    return row.template or " ".join(row.query.lower().split())
