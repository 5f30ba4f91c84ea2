"""What the splits that stage `dataset` will make are good for."""

from collections import Counter
from math import sqrt

from supertiny.core.findings import Finding, ok, warning
from supertiny.core.records import Example
from supertiny.data.dataset import SPLITS, Dataset, DatasetSizes
from supertiny.project.rows import Own, called, plain, sentence
from supertiny.project.wording import counted, listed

FEW = 8
"""labelled queries of a function in train and expert below which it is named: twice the four splits"""
SMALL = 100
"""test queries below which half of the AR's 95 % interval can be more than .1: 1.96 * sqrt(.25 / n)"""


def survey_splits(own: Own, dataset: Dataset, sizes: DatasetSizes, judge: str) -> list[Finding]:
    """Their sizes, what of them can be learned, and what the test would not find out."""
    hidden = {call.name for row in own.rows if "unseen" in row.tags for call in called(row)}
    return [
        _sizes(dataset, sizes),
        _test(dataset),
        _examples(dataset, hidden),
        _leaks(dataset),
        _ood(dataset, hidden),
        _unjudged(dataset, judge),
    ]


def _sizes(dataset: Dataset, sizes: DatasetSizes) -> Finding:
    said = [f"{split} {len(dataset.splits[split]):,} of at most {getattr(sizes, split):,}" for split in SPLITS]
    return ok("splits", ", ".join(said))


def _test(dataset: Dataset) -> Finding:
    n = len(dataset.splits["test"])
    if n >= SMALL:
        return ok("test", f"{n:,} queries")
    said = f"{counted(n, 'query', 'queries')}: an AR of .5 is known to +- {1.96 * sqrt(0.25 / n):.2f}"
    return warning("test", said, "label more; a quarter of the labelled queries, at most, goes to test")


def _examples(dataset: Dataset, hidden: set[str]) -> Finding:
    """Examples of each function that a model may learn from."""
    rows = [*dataset.splits["train"], *dataset.splits["expert"]]
    learned = Counter(call.name for row in rows for call in called(row))
    few = {name: learned[name] for name in dataset.pool if name not in hidden and learned[name] < FEW}
    if not few:
        return ok("examples", f"every function has {FEW} labelled queries at least in train and expert")
    names = [f"{name} {count}" for name, count in sorted(few.items(), key=lambda one: (one[1], one[0]))]
    said = f"{counted(len(few), 'function has', 'functions have')} fewer than {FEW} labelled queries to learn from"
    remedy = "label more, or tag all rows of a function `unseen` to test it as one never trained on"
    return warning("examples", f"{said}: {listed(names)}", remedy)


def _leaks(dataset: Dataset) -> Finding:
    """Test and dev queries with a sentence that is learned from too, their values apart."""
    learned = {text for split in ("train", "expert") for row in dataset.splits[split] for text in _texts(row)}
    held_out = [row for split in ("test", "dev") for row in dataset.splits[split]]
    leaked = [row for row in held_out if _texts(row) & learned]
    if not leaked:
        return ok("leaks", "no sentence of test and dev is in train or expert")
    said = f"{len(leaked):,} of {len(held_out):,} queries of test and dev differ from a learned one in values alone, "
    said += f"such as {leaked[0].query!r}"
    return warning("leaks", said, "name each row's sentence in field 'template': rows of one go to one split")


def _ood(dataset: Dataset, hidden: set[str]) -> Finding:
    rows = dataset.splits["ood"]
    if not rows:
        remedy = "tag all rows of a few functions `unseen` to learn what a model makes of new ones"
        return warning("ood", "empty: no row is tagged unseen", remedy)
    said = f"{counted(len(rows), 'query', 'queries')}; never trained on: {listed(sorted(hidden))}"
    return ok("ood", said)


def _unjudged(dataset: Dataset, judge: str) -> Finding:
    bare = sum(not row.answers for row in dataset.splits["train"])
    said = f"{bare:,} of {counted(len(dataset.splits['train']), 'training query', 'training queries')} have no answer"
    if judge == "reference" and bare:
        why = f"{said}, and judge.kind: reference keeps no reply to those"
        return warning("judge", why, "set judge.kind: classifier or llm, once stage `judge` finds it good enough")
    return ok("judge", f"{judge}; {said}")


def _texts(row: Example) -> set[str]:
    return {plain(row.query), sentence(row)}
