"""What a person should know of their own functions and queries before a model learns from them."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from math import sqrt
from pathlib import Path

from supertiny.core.calls import Answer, Call, Pool, answer_json
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.findings import Finding, ok, warning
from supertiny.core.prompt import named, whole
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.data.dataset import SPLITS, Dataset, DatasetSizes
from supertiny.data.own import TAGGED

SHOWN = 5
"""of a list, before "and 3 more" """


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun; the plural is the noun and an s, or as given.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "query", "queries")
    ('1 row', '1,200 rows', '2 queries')
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def listed(items: Sequence[object], separator: str = ", ") -> str:
    """The first of the items, and how many more there are.

    >>> listed("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    more = f" and {len(items) - SHOWN:,} more" if len(items) > SHOWN else ""
    return separator.join(str(item) for item in items[:SHOWN]) + more


@dataclass(frozen=True, slots=True)
class Own:
    """A function pool and queries, and the line that each query stands in, by its id."""

    pool: Pool
    rows: Sequence[Example]
    lines: dict[str, int]

    def labelled(self) -> list[Example]:
        """Rows with an answer, in the file's order."""
        return [row for row in self.rows if row.answers]

    def where(self, rows: Sequence[Example]) -> str:
        """The lines of some rows: "line 3", "lines 3, 7"."""
        return f"line{'s' if len(rows) > 1 else ''} {listed([self.lines[row.id] for row in rows])}"


def read_own(functions: Path, queries: Path) -> Own:
    """Both files, checked as stage `dataset` checks them; an error names file, line and field."""
    pool = read_functions(functions)
    _must_be_spelled(queries)
    _must_be_known(queries, functions, pool)
    rows = read_examples(queries, pool)
    return Own(pool, rows, {row["id"]: number for number, row in read_jsonl(queries)})


def called(row: Example) -> list[Call]:
    """The call that is right for the row, if it has one."""
    return [answer for answer in row.answers[:1] if isinstance(answer, Call)]


def same(answer: Answer) -> str:
    """A text that two answers share if they are the same."""
    return json.dumps(answer_json(answer), sort_keys=True)


def asked(row: Example) -> str:
    """A text that two rows share if they ask the same in the same situation."""
    history = [[turn.query, answer_json(turn.answer)] for turn in row.history]
    return json.dumps([plain(row.query), row.context, history], sort_keys=True)


def plain(text: str) -> str:
    """A text without differences of case and spaces."""
    return " ".join(text.lower().split())


def sentence(row: Example) -> str:
    """A text that queries share if they differ in values alone: the template, else the query with its values' names.

    >>> sentence(Example(id="1", query="Wake me at  five am", answers=(Call("set_alarm", {"time": "five am"}),)))
    'wake me at {time}'
    """
    said = plain(row.template or row.query)
    arguments = {} if row.template else {name: value for call in called(row) for name, value in call.arguments.items()}
    names: dict[str, str] = {}
    for name, value in arguments.items():
        for one in value if isinstance(value, list) else [value]:
            names.setdefault(plain(str(one)), name)
    return whole(tuple(names), said.isascii()).sub(lambda found: f"{{{names[found[0]]}}}", said)


def _must_be_spelled(queries: Path) -> None:
    """No field is almost one of ours in its place, as 'answer' would be; what else a row has is the user's own."""
    known = [field.name for field in fields(Example)]
    for number, row in read_jsonl(queries):
        for name in row if isinstance(row, dict) else ():
            near = get_close_matches(name, known, n=1, cutoff=0.85) if name not in known else []
            if near and near[0] not in row:
                why = "it would not be read; mend it, or give what is another thing another name"
                raise UserError(f"{queries}, line {number}: field {name!r}: did you mean {near[0]!r}? {why}")


def _must_be_known(queries: Path, functions: Path, pool: Pool) -> None:
    """Every function that an answer calls is in the pool; else one error names all that are not."""
    unknown: dict[str, list[int]] = {}
    for number, row in read_jsonl(queries):
        answers = row.get("answers") if isinstance(row, dict) else None
        for answer in answers if isinstance(answers, list) else ():
            if isinstance(answer, dict) and isinstance(name := answer.get("name"), str) and name not in pool:
                unknown.setdefault(name, []).append(number)
    if unknown:
        names = listed([_unknown(name, lines, pool) for name, lines in unknown.items()], "; ")
        raise UserError(f"{queries}, line {min(lines[0] for lines in unknown.values())}: field 'answers': {names}: "
                        f"no such function in {functions}; add it there, or mend the rows")  # fmt: skip


def _unknown(name: str, lines: Sequence[int], pool: Pool) -> str:
    near = get_close_matches(name, pool, n=1)
    meant = f", did you mean {near[0]!r}?" if near else ""
    return f"{name!r} ({counted(len(lines), 'answer')}, first in line {lines[0]}{meant})"


def survey_rows(own: Own) -> list[Finding]:
    """What is in the files, and what is doubtful in them."""
    found = [_functions(own), _descriptions(own), _queries(own), _several(own), _duplicates(own), _contradictions(own)]
    return [*found, _refusals(own)]


def _functions(own: Own) -> Finding:
    parameters = sum(len(function.parameters) for function in own.pool.values())
    said = f"{len(own.pool):,} with {counted(parameters, 'parameter')}; all that are called are among them"
    return ok("functions", said)


def _descriptions(own: Own) -> Finding:
    silent = [name for name, function in own.pool.items() if not function.description.strip()]
    if silent:
        said = f"{counted(len(silent), 'function')} without: {listed(silent)}"
        return warning("descriptions", said, "write them: candidates are found by name and description")
    return ok("descriptions", "every function has one")


def _queries(own: Own) -> Finding:
    bare = len(own.rows) - len(own.labelled())
    return ok("queries", f"{len(own.rows):,}, of which {bare:,} ({100 * bare / len(own.rows):.0f} %) have no answer")


def _several(own: Own) -> Finding:
    rows = [row for row in own.rows if len({one.name for one in row.answers if isinstance(one, Call)}) > 1]
    if not rows:
        return ok("answers", "those of one query call one function")
    said = f"{counted(len(rows), 'query has', 'queries have')} several, of different functions: {own.where(rows)}"
    remedy = "each is right by itself; a query that wants several calls is not supported"
    return warning("answers", said, remedy)


def _duplicates(own: Own) -> Finding:
    again = [row for group in _groups(own.rows) if not _contradict(group) for row in group[1:]]
    if not again:
        return ok("duplicates", "no query stands there twice")
    said = f"{counted(len(again), 'query stands', 'queries stand')} there already: {own.where(again)}"
    return warning("duplicates", said, "remove them: they count double")


def _contradictions(own: Own) -> Finding:
    groups = [group for group in _groups(own.rows) if _contradict(group)]
    if not groups:
        return ok("contradictions", "no query has two labels")
    said = f"{counted(len(groups), 'query has', 'queries have')} answers in one row that are not in another: "
    said += listed([own.where(group) for group in groups], "; ")
    return warning("contradictions", said, "mend the labels, or list all that is right in field 'answers' of one row")


def _refusals(own: Own) -> Finding:
    refused = sum(1 for row in own.rows for one in row.answers[:1] if not isinstance(one, Call))
    if not refused:
        return warning("refusals", "none", "label some queries that no function serves, or a model calls one for all")
    return ok("refusals", f"{counted(refused, 'query', 'queries')} answered by one")


def _groups(rows: Sequence[Example]) -> list[list[Example]]:
    """The rows that ask the same as another, together."""
    groups: dict[str, list[Example]] = {}
    for row in rows:
        groups.setdefault(asked(row), []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def _contradict(group: Sequence[Example]) -> bool:
    """Whether no answer is right by all labelled rows."""
    right = [{same(answer) for answer in row.answers} for row in group if row.answers]
    return bool(right) and not set.intersection(*right)


FEW = 8
"""labelled queries of a function in train and expert below which it is named: twice the four splits"""
SMALL = 100
"""test queries below which half of the AR's 95 % interval can be more than .1: 1.96 * sqrt(.25 / n)"""


def survey_splits(own: Own, dataset: Dataset, sizes: DatasetSizes, judge: str) -> list[Finding]:
    """Their sizes, what of them can be learned, and what the test would not find out."""
    hidden = {
        split: {call.name for row in own.rows if tag in row.tags for call in called(row)}
        for tag, split in TAGGED.items()
    }
    return [
        *_terms(own, dataset),
        _sizes(dataset, sizes),
        _test(dataset),
        _examples(dataset, set().union(*hidden.values())),
        _leaks(dataset),
        _dev_ood(dataset, hidden["dev_ood"]),
        _ood(dataset, hidden["ood"]),
        _unjudged(dataset, judge),
    ]


def _terms(own: Own, dataset: Dataset) -> list[Finding]:
    """How many terms of the knowledge base any query says; nothing where there is no knowledge base."""
    terms = [term for term, _ in dataset.knowledge]
    lowered = [term.lower() for term in terms]
    said = {term for row in own.rows for term in named(row.query.lower(), lowered)}
    silent = [term for term in terms if term.lower() not in said]
    if not terms:
        return []
    found = f"queries say {len(terms) - len(silent):,} of {counted(len(terms), 'term')}"
    if not silent:
        return [ok("knowledge", found)]
    remedy = "write terms as queries say them, or leave them out"
    return [warning("knowledge", f"{found}, and not {listed(silent)}", remedy)]


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


def _dev_ood(dataset: Dataset, hidden: set[str]) -> Finding:
    rows = dataset.splits["dev_ood"]
    if not rows:
        return ok("dev_ood", "empty: no row is tagged unseen_dev, so nothing is chosen by how new functions fare")
    return ok("dev_ood", f"{counted(len(rows), 'query', 'queries')}; never trained on: {listed(sorted(hidden))}")


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
