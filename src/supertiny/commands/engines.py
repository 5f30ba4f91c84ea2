"""Which engines can work here: what each lacks, packages that its code imports or programs of its own."""

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import supertiny
from supertiny.commands.packages import Asked, extra_of
from supertiny.core.ask import ChatMachine
from supertiny.core.code import imported
from supertiny.core.config import Engines, load_profile, profile_path
from supertiny.core.errors import UserError
from supertiny.core.findings import Finding, missing, ok, warning
from supertiny.engines import ENGINES, cannot
from supertiny.engines.servers.launch import LaunchConfig, ServersConfig

PACKAGE = Path(supertiny.__file__).parent


def findings(asked: Asked) -> list[Finding]:
    """A line for each engine, and what the profile's choice of them needs besides."""
    chosen = asdict(load_profile("engines", Engines))
    launch, servers = load_profile("launch", LaunchConfig), load_profile("servers", ServersConfig)
    found = []
    for name in sorted(ENGINES):
        verbs = [verb for verb in chosen if chosen[verb] == name]
        found.append(_engine(name, verbs, asked, _no_programs(name, verbs, launch, servers)))
    for entry, server in (("chat", servers.chat), ("answers", servers.answers)):
        found += _no_key(f"servers.{entry}", server.key_variable)
    if "endpoint" in chosen.values():
        found += endpoint(load_profile("chat", ChatMachine))
    return found


def possible() -> None:
    """Every verb of section `engines` is one that its engine can do; else one error names all that are not."""
    chosen = asdict(load_profile("engines", Engines))
    wrong = [f"engines.{verb}: {said}" for verb, name in chosen.items() if (said := cannot(name, verb))]
    if wrong:
        raise UserError(f"{profile_path()}: {'; '.join(wrong)}")


def endpoint(machine: ChatMachine) -> list[Finding]:
    """What engine endpoint, where the profile chooses it, needs to be told; the server is not asked."""
    wanted = {"url": machine.url, "served_model": machine.served_model}
    found = [
        missing(f"chat.{name}", "null", f"engine endpoint asks a server: set chat.{name} in the profile")
        for name, value in wanted.items()
        if not value
    ]
    found += _no_key("chat", machine.key_variable)
    return found or [ok("endpoint", f"{machine.url}, model {machine.served_model} (not asked)")]


def _no_key(section: str, variable: str | None) -> list[Finding]:
    """What a server's API key lacks."""
    if not variable or os.environ.get(variable):
        return []
    said = f"the environment has no {variable}"
    return [missing(f"{section}.key_variable", said, f"export {variable} with the server's API key")]


def lacking(files: Iterable[Path]) -> list[str]:
    """The modules of other packages that some code imports, itself or by ours, and that are not installed."""
    waiting, seen, others = set(files), set[Path](), set[str]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for name in imported(path):
            if name.split(".")[0] == PACKAGE.name:
                waiting |= set(files_of(name)) - seen
            else:
                others.add(name.split(".")[0])
    return sorted(name for name in others - set(sys.stdlib_module_names) if find_spec(name) is None)


def files_of(name: str) -> Iterator[Path]:
    """The file of one of our modules and those of the packages above it; none for a name inside a module."""
    parts = name.split(".")[1:]
    for end in range(len(parts) + 1):
        path = PACKAGE.joinpath(*parts[:end])
        yield from (file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file())


def code_of(engine: str) -> list[Path]:
    """The files of the modules that do an engine's verbs."""
    return [
        path
        for name in set(ENGINES[engine].values())
        for path in files_of(f"{PACKAGE.name}.engines.{name.partition(':')[0]}")
    ]


def _engine(name: str, verbs: Collection[str], asked: Asked, no_programs: str) -> Finding:
    use = f"the profile's {', '.join(verbs)}" if verbs else "not used by the profile"
    said = f"can {', '.join(sorted(ENGINES[name]))} ({use})"
    what, found = f"engine {name}", missing if verbs else warning
    if absent := lacking(code_of(name)):
        remedies = dict.fromkeys(extra_of(one, asked) for one in absent)
        return found(what, f"lacks {', '.join(absent)}; it {said}", ", ".join(remedies))
    if no_programs:
        remedy = f"make them as envs/{name}.txt says, or name their folder in launch.programs of the profile"
        return found(what, f"lacks its programs, there is no {no_programs}; it {said}", remedy)
    return ok(what, said)


def _no_programs(engine: str, verbs: Collection[str], launch: LaunchConfig, servers: ServersConfig) -> str:
    """The folder of an engine's own programs if it is needed and not there; on other machines nobody looks."""
    place = launch.programs.get(engine)
    there = verbs and all((servers.chat if verb == "chat" else servers.answers).url for verb in verbs)
    if place is None or not launch.here or there or Path(place).expanduser().is_dir():
        return ""
    return place
