"""Parameters: one typed section of params.yaml or of the chosen profile, checked before any work.

A config is a `@dataclass(kw_only=True, slots=True)` beside its owner, without defaults: params.yaml
(how much) and profiles/ (on what machine) are the only homes of a number. Both are read as
DVC reads and writes them, as YAML 1.2: `no` and `on` are words, 010 is ten.
"""

from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from ruamel.yaml import YAML

from supertiny.core.errors import UserError

T = TypeVar("T")
PARAMS = Path("params.yaml")


def load(section: str, schema: type[T]) -> T:
    """Section `section` (dots go deeper) of params.yaml as a checked `schema`."""
    return _typed(PARAMS, section, schema)


def load_each(section: str, schema: type[T], *, empty: bool = False) -> dict[str, T]:
    """Every entry of a section of params.yaml that is a mapping of names, in its order; `empty`: there may be none."""
    entries = _read(PARAMS).get(section)
    if not isinstance(entries, dict) or not (entries or empty):
        raise UserError(f"{PARAMS}: section {section!r}: expected at least one entry")
    return {str(name): _checked(PARAMS, f"{section}.{name}", values, schema) for name, values in entries.items()}


def load_profile(section: str, schema: type[T]) -> T:
    """The same from profiles/<params.profile>.yaml."""
    return _typed(profile_path(), section, schema)


def profile_path() -> Path:
    """The file of the profile that params.yaml names."""
    name = _read(PARAMS).get("profile")
    path = Path("profiles") / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise UserError(f"params.yaml: profile: there is no {path} (profiles here: {known})")
    return path


def seed() -> int:
    """The one seed of the pipeline."""
    value = _read(PARAMS).get("seed")
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


def _read(path: Path) -> dict[str, Any]:
    try:
        values = YAML(typ="safe").load(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run from the project's top folder") from None
    except Exception as error:  # YAML errors have no base class in common
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a mapping at the top")
    return {str(key): value for key, value in values.items()}


def _typed(path: Path, section: str, schema: type[T]) -> T:
    values: Any = _read(path)
    for key in section.split("."):
        values = values.get(key) if isinstance(values, dict) else None
    return _checked(path, section, values, schema)


def _checked(path: Path, section: str, values: Any, schema: type[T]) -> T:
    if not isinstance(values, dict):
        raise UserError(f"{path}: section {section!r} is missing")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), values)
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except UserError as error:
        raise UserError(f"{path}: {section}: {error}") from None
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: {section}.{error.full_key or ''}: {reason}") from None
