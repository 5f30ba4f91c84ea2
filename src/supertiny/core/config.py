"""Parameters: typed sections of params.yaml (how much) and of the chosen profile (on what machine), checked first.

A config is a `@dataclass(kw_only=True, slots=True)` beside its owner, without defaults: params.yaml and profiles/ are
the only homes of a number. Both are read as DVC reads and writes them, as YAML 1.2: `no` and `on` are words, 010 is
ten. A profile may say `extends: <another>`, and then only what differs from it. No section stands in both files: a
profile never overrides a parameter.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from ruamel.yaml import YAML

from supertiny.core.errors import UserError

T = TypeVar("T")
PARAMS, PROFILES = Path("params.yaml"), Path("profiles")
MACHINE = Path("data/machine.json")
"""the chosen profile as stage `resolve` wrote it: what DVC compares"""
EXTENDS = "extends"
NO_TOP = "does not exist; run from the project's top folder"


@dataclass(kw_only=True, slots=True)
class Engines:
    """Section `engines` of the profile: who does each kind of work."""

    chat: str
    generate: str
    serve: str
    train: str
    logits: str
    rl: str


def load(section: str, schema: type[T]) -> T:
    """Section `section` (dots go deeper) of params.yaml as a checked `schema`."""
    return _checked(PARAMS, section, _at(read_yaml(PARAMS), section), schema)


def load_over(sections: Sequence[str], schema: type[T]) -> T:
    """Several sections of params.yaml as one `schema`: a later one says only what differs from those before it."""
    params = read_yaml(PARAMS)
    parts = [_at(params, section) for section in sections]
    for section, part in zip(sections, parts, strict=True):
        if not isinstance(part, dict):
            raise _missing(PARAMS, section)
    return _checked(PARAMS, sections[-1], reduce(_over, parts), schema)


def load_each(section: str, schema: type[T], *, empty: bool = False) -> dict[str, T]:
    """Every entry of a section of params.yaml that is a mapping of names, in its order; `empty`: there may be none."""
    entries = _at(read_yaml(PARAMS), section)
    if not isinstance(entries, dict) or not (entries or empty):
        raise UserError(f"{PARAMS}: section {section!r}: expected at least one entry")
    return {str(name): _checked(PARAMS, f"{section}.{name}", values, schema) for name, values in entries.items()}


def load_profile(section: str, schema: type[T]) -> T:
    """Section `section` of the profile that params.yaml chooses, over the profiles it extends."""
    return _checked(profile_path(), section, _at(profile(), section), schema)


def profile_path() -> Path:
    """The file of the profile that params.yaml names."""
    return _profile_file(read_yaml(PARAMS).get("profile"), f"{PARAMS}: profile")


def profile() -> dict[str, Any]:
    """All of the chosen profile: its own values over those of the profile that it extends, and so on."""
    return merged_profile(profile_path())


def profile_files(path: Path) -> list[Path]:
    """A profile's file, that of the profile that it extends, and so on."""
    chain = [path]
    while (name := read_yaml(chain[-1]).get(EXTENDS)) is not None:
        base = _profile_file(name, f"{chain[-1]}: {EXTENDS}")
        if base in chain:
            line = " extends ".join(one.stem for one in [*chain, base])
            raise UserError(f"{chain[-1]}: {EXTENDS}: {line}: a profile cannot extend itself; name another base")
        chain.append(base)
    return chain


def merged_profile(path: Path) -> dict[str, Any]:
    """The same of any profile; a key that its base has not, and a profile that extends itself, are errors."""
    chain = profile_files(path)
    values = read_yaml(chain.pop())
    for own in reversed(chain):
        changes = {key: value for key, value in read_yaml(own).items() if key != EXTENDS}
        _must_be_known(own, changes, values)
        values = _over(values, changes)
    return values


def seed() -> int:
    """The one seed of the pipeline."""
    value = read_yaml(PARAMS).get("seed")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32:
        raise UserError(f"params.yaml: seed: expected an integer in [0, 2**32), got {value!r}")
    return value


def require(condition: bool, message: str) -> None:
    """In a config's `__post_init__`: `condition` must hold, or the message (it names the field) is the error."""
    if not condition:
        raise UserError(message)


def require_positive(cfg: Any, *fields: str) -> None:
    """The same for numbers that must be more than 0."""
    for name in fields:
        require(getattr(cfg, name) > 0, f"{name}: expected more than 0, got {getattr(cfg, name)}")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, as DVC reads it."""
    try:
        values = _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} {NO_TOP}") from None
    except Exception as error:  # YAML errors have no base class in common
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a mapping at the top")
    return deepcopy({str(key): value for key, value in values.items()})


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """Once for each text: every section of a file is read on its own, and parsing takes most of the time."""
    return YAML(typ="safe").load(text)


def _profile_file(name: Any, where: str) -> Path:
    path = PROFILES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.yaml"))) or "none"
        raise UserError(f"{where}: there is no {path} (profiles here: {known})")
    return path


def _must_be_known(path: Path, changes: Mapping[str, Any], base: Mapping[str, Any], above: str = "") -> None:
    """Every key that a profile changes is one of its base; the entries of launch.programs are free."""
    for key, value in changes.items():
        name = f"{above}{key}"
        if key not in base:
            known = ", ".join(map(str, base))
            raise UserError(f"{path}: {name}: the profile that it {EXTENDS} has no such key (it has: {known})")
        if isinstance(value, dict) and isinstance(base[key], dict) and name != "launch.programs":
            _must_be_known(path, value, base[key], f"{name}.")


def _over(base: Any, change: Any) -> Any:
    """`change` over `base`, key by key where both are mappings."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return base | {key: _over(base[key], value) if key in base else value for key, value in change.items()}


def _at(values: Any, section: str) -> Any:
    for key in section.split("."):
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _missing(path: Path, section: str) -> UserError:
    return UserError(f"{path}: section {section!r} is missing")


def _checked(path: Path, section: str, values: Any, schema: type[T]) -> T:
    if not isinstance(values, dict):
        raise _missing(path, section)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), values)
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except UserError as error:
        raise UserError(f"{path}: {section}: {error}") from None
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: {section}.{error.full_key or ''}: {reason}") from None
