"""Counts and lists as a report says them."""

from collections.abc import Sequence

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
