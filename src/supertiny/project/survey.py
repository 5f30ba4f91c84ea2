"""What a person should know of their own functions and queries before a model learns from them."""

from collections.abc import Sequence

from supertiny.core.calls import Call
from supertiny.core.findings import Finding, ok, warning
from supertiny.core.records import Example
from supertiny.project.rows import Own, asked, same
from supertiny.project.wording import counted, listed


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
