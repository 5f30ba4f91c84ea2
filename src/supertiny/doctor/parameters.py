"""Every parameter is looked at before any stage works: a wrong one far down the graph would be found hours later."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from supertiny.core.config import PARAMS, load, load_each, load_profile, profile_path, seed
from supertiny.core.errors import UserError
from supertiny.core.files import digest
from supertiny.core.findings import Finding, missing, ok
from supertiny.core.resume import cache_home
from supertiny.doctor.packages import Asked
from supertiny.plan.graph import GRAPH


def findings(_: Asked) -> list[Finding]:
    """A line for each section that is wrong, or one for all."""
    found = [missing("parameters", said, "mend it, or `git checkout params.yaml profiles`") for said in wrong()]
    return found or [ok("parameters", f"{PARAMS} and {profile_path()}: all of their type and in their range")]


def refuse() -> None:
    """One error that names every wrong section of the project in the current folder.

    What was right once is not looked at again: the configs' modules take seconds to import.
    """
    files = [path for path in (PARAMS, GRAPH, *sorted(Path("profiles").glob("*.yaml"))) if path.is_file()]
    right = cache_home() / "parameters" / digest(*files)[:24]
    if PARAMS not in files or right.is_file():
        return
    if said := wrong():
        raise UserError("\n       ".join(said))
    right.parent.mkdir(parents=True, exist_ok=True)
    right.touch()


def wrong() -> list[str]:
    """What is said, once, of each section that is not as the stages of the graph read it."""
    return list(dict.fromkeys(said for check in _checks() if (said := _error(check))))


def _checks() -> Iterator[Callable[[], Any]]:
    from supertiny.doctor.engines import possible
    from supertiny.doctor.references import known
    from supertiny.doctor.sections import ENTRIES, MACHINE, MACHINE_ENTRIES, SECTIONS

    yield seed
    yield from (partial(load, name, schema) for name, schema in SECTIONS.items())
    yield from (partial(load_each, name, schema, empty=True) for name, schema in ENTRIES.items())
    yield known
    yield profile_path
    if _error(profile_path):  # said once, not by each of its sections
        return
    profile = YAML(typ="safe").load(profile_path())
    yield from (partial(load_profile, name, schema) for name, schema in MACHINE.items())
    for section, schema in MACHINE_ENTRIES.items():
        yield from (partial(load_profile, f"{section}.{name}", schema) for name in profile.get(section) or {})
    yield possible


def _error(check: Callable[[], Any]) -> str:
    try:
        check()
    except UserError as error:
        return str(error)
    return ""
