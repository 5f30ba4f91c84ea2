"""The stages of dvc.yaml with the parameters put in, in an order in which they can run."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertiny.core.errors import UserError

GRAPH = Path("dvc.yaml")
PLACE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage as DVC runs it."""

    name: str
    """such as distill@tiny"""
    command: str
    deps: tuple[str, ...]
    """paths"""
    outs: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """Of the command."""
        return shlex.split(self.command)

    @property
    def script(self) -> str:
        """The X of `python -m stages.X`."""
        return self.words[2].removeprefix("stages.")

    def option(self, name: str) -> str:
        """What the command gives as --name."""
        return self.words[self.words.index(f"--{name}") + 1]


def stages(graph: Mapping[str, Any], params: Mapping[str, Any]) -> list[Stage]:
    """Every stage of a dvc.yaml under the values of params.yaml, each behind those whose outs it reads."""
    return _ordered([stage for name, spec in graph["stages"].items() for stage in _expanded(name, spec, params)])


def _expanded(name: str, spec: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[Stage]:
    if "foreach" not in spec:
        yield _stage(name, spec, params)
        return
    each = spec["foreach"]
    items = _value(each[2:-1], params) if isinstance(each, str) else each
    pairs = items.items() if isinstance(items, Mapping) else [(item, item) for item in items]
    for key, item in pairs:
        yield _stage(f"{name}@{key}", spec["do"], {**params, "key": key, "item": item})


def _stage(name: str, spec: Mapping[str, Any], values: Mapping[str, Any]) -> Stage:
    def filled(text: str) -> str:
        return PLACE.sub(lambda found: str(_value(found[1], values)), text)

    made = [out for kind in ("outs", "metrics", "plots") for out in spec.get(kind, ())]
    outs = [path for out in made for path in ([out] if isinstance(out, str) else out)]
    command = spec["cmd"] if isinstance(spec["cmd"], str) else " && ".join(spec["cmd"])
    return Stage(name, filled(command), tuple(map(filled, spec.get("deps", ()))), tuple(map(filled, outs)))


def _value(path: str, values: Mapping[str, Any]) -> Any:
    found: Any = values
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            raise UserError(f"dvc.yaml: ${{{path}}}: params.yaml has no such entry")
        found = found[key]
    return found


def _ordered(found: Sequence[Stage]) -> list[Stage]:
    """As in the file, but for those that must wait for a later one."""
    waiting, done, order = list(found), set[str](), list[Stage]()
    made = {out for stage in found for out in stage.outs}
    needed = {stage.name: {out for dep in stage.deps for out in touched(dep, made)} for stage in found}
    while waiting:
        ready = next((one for one in waiting if needed[one.name] <= done), None)
        if ready is None:
            raise UserError(f"dvc.yaml: {', '.join(one.name for one in waiting)} wait for one another")
        waiting.remove(ready)
        order.append(ready)
        done.update(ready.outs)
    return order


def touched(path: str, made: Iterable[str]) -> set[str]:
    """The outs that a path is or lies in, and those that lie in it; empty: no stage makes it."""
    return {out for out in made if out == path or path.startswith(f"{out}/") or out.startswith(f"{path}/")}
