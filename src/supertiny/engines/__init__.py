"""Floor 4: who does the work. A folder per engine, a file per verb it can do; the profile chooses."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from supertiny.core.errors import UserError

HOME = Path(__file__).parent


def get(engine: str, verb: str) -> Callable[..., Any]:
    """The function `verb` of `engine`; nothing of an engine is imported before it is asked for."""
    engines = sorted(path.name for path in HOME.iterdir() if (path / "__init__.py").is_file())
    if engine not in engines:
        raise UserError(f"profile: engines.{verb}: there is no engine {engine!r} (there are: {', '.join(engines)})")
    verbs = sorted(path.stem for path in (HOME / engine).glob("[a-z]*.py"))
    if verb not in verbs:
        raise UserError(f"profile: engines.{verb}: engine {engine!r} cannot {verb}; it can {', '.join(verbs)}")
    return getattr(import_module(f"supertiny.engines.{engine}.{verb}"), verb)
