"""Floor 5 of 6: who does the work. The table says which module has which verb of which engine; the profile chooses."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from supertiny.core.config import Engines, load_profile
from supertiny.core.errors import UserError

ENGINES: dict[str, dict[str, str]] = {
    "native": {
        **dict.fromkeys(("chat", "generate", "serve"), "native.answer"),
        "train": "native.train",
        "logits": "native.logits",
        "rl": "native.rl",
    },
    "endpoint": dict.fromkeys(("chat", "serve"), "servers.answer"),
    "sglang": dict.fromkeys(("chat", "generate", "serve"), "servers.kinds:SGLANG"),
    "vllm": dict.fromkeys(("chat", "generate", "serve"), "servers.kinds:VLLM"),
    "trtllm": dict.fromkeys(("chat", "generate", "serve"), "servers.trtllm:TRTLLM"),
    "openvino": {"serve": "openvino.serve"},
    "megatron": {"train": "megatron.train"},
    "openrlhf": {"rl": "openrlhf.rl"},
}
"""engine -> verb -> the module under supertiny.engines, or the object in it, whose function has the verb's name"""
ALSO: dict[str, tuple[str, ...]] = {"megatron": ("megatron.worker.__main__",)}
"""engine -> modules that it starts as programs of their own, by name"""


def get(engine: str, verb: str) -> Callable[..., Any]:
    """The function `verb` of `engine`; nothing of an engine is imported before it is asked for."""
    if said := cannot(engine, verb):
        raise UserError(f"profile: engines: {said}")
    return getattr(home(engine, verb), verb)


def chosen(verb: str, of: str | None = None) -> Callable[..., Any]:
    """The function `verb` of the engine that the profile chooses for it, or for verb `of`."""
    return get(getattr(load_profile("engines", Engines), of or verb), verb)


def home(engine: str, verb: str) -> Any:
    """What holds the function."""
    module, _, name = ENGINES[engine][verb].partition(":")
    found = import_module(f"supertiny.engines.{module}")
    return getattr(found, name) if name else found


def cannot(engine: str, verb: str) -> str:
    """Why `engine` has no `verb`, with who has; empty: it has."""
    if engine not in ENGINES:
        return f"there is no engine {engine!r} (there are: {', '.join(sorted(ENGINES))})"
    if verb in ENGINES[engine]:
        return ""
    others = ", ".join(sorted(name for name, verbs in ENGINES.items() if verb in verbs))
    return f"engine {engine!r} cannot {verb}; it can {', '.join(sorted(ENGINES[engine]))}, and {others} can {verb}"
