"""Doctor: what this machine and this project have, and what they lack for the graph."""

import json
import os
import platform
import shutil
import sys
import tomllib
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from dvc.exceptions import NotDvcRepoError
from dvc.fs import generic, get_fs_cls, get_fs_config
from dvc.repo import Repo
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from supertiny.commands.packages import PYPROJECT, Asked, install, read_packages
from supertiny.core.ask import DecodeConfig
from supertiny.core.config import load, load_profile, profile_path
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.core.findings import Finding, State, in_lines, missing, ok, warning
from supertiny.core.git import said, tried
from supertiny.core.stage import cache_home
from supertiny.data.dataset import DatasetSizes
from supertiny.distill.rows import LogitsConfig
from supertiny.measure.load import machine_summary
from supertiny.prototype.prototype import PrototypeSizes
from supertiny.prototype.rft import RftSizes
from supertiny.report.steps.logits import NAIVE_BYTES

CHECKS = ("packages", "parameters", "engines", "machine", "space", "store")
"""modules of supertiny.commands, each with `findings`; nothing of one is imported before its turn"""


def main(form: str = "text") -> None:
    """Say what is here and what is missing, a line each with the remedy; exit 1 if the active profile lacks something.

    Run it in a project's top folder. Form: text | json.
    """
    if form not in ("text", "json"):
        raise UserError(f"--form: expected text or json, got {form!r}")
    asked = read_packages()
    found = [finding for name in CHECKS for finding in _checked(name, asked)]
    print(json.dumps([asdict(one) for one in found], indent=2) if form == "json" else in_lines(found).rstrip())
    sys.exit(any(one.state is State.MISSING for one in found))


def _checked(name: str, asked: Asked) -> list[Finding]:
    """What one check found; what it cannot look at for want of a package or of sound parameters is a finding too."""
    try:
        found: list[Finding] = import_module(f"supertiny.commands.{name}").findings(asked)
    except ImportError as error:
        return [missing(name, f"not looked at, {error.name} cannot be imported", install(""))]
    except UserError as error:
        return [missing(name, f"not looked at: {error}", "mend it, then look again")]
    return found


def machine_findings(asked: Asked) -> list[Finding]:
    """A line for each."""
    here = machine_summary()
    return [_python(), _threads(here), _memory(here), *_torch(here)]


def _python() -> Finding:
    wanted = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["requires-python"]
    if SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        return ok("python", platform.python_version())
    return missing("python", platform.python_version(), f"make the environment with Python {wanted}")


def _threads(here: dict[str, Any]) -> Finding:
    """More threads than cores wait for each other in turns."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else here["cores"]
    said = f"{here['threads']} on {cores} of {here['cores']} cores, {here['cpu']}"
    if here["threads"] > cores:
        return warning("threads", said, f"export OMP_NUM_THREADS={cores}")
    return ok("threads", said)


def _memory(here: dict[str, Any]) -> Finding:
    free = [line for line in _lines(Path("/proc/meminfo")) if line.startswith("MemAvailable")]
    available = f", {int(free[0].split()[1]) / 2**20:.1f} available" if free else ""
    return ok("memory", f"{here['memory_gib']} GiB{available}")


def _torch(here: dict[str, Any]) -> list[Finding]:
    """GPU and precision; torch is imported only where it must be asked."""
    precisions = _precisions()
    auto = [section for section, precision in precisions.items() if precision == "auto"]
    if not auto and "gpu" not in here:
        found = ", ".join(f"{section} {precision}" for section, precision in precisions.items())
        return [ok("gpu", "none"), ok("precision", f"{found}, as the profile says")]
    import torch

    from supertiny.model.hardware import compute_dtype

    works = torch.cuda.is_available()
    said = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}" if works else here.get("gpu", "none")
    gpu = ok("gpu", said)
    if "gpu" in here and not works:
        gpu = warning("gpu", f"{said}, which torch {torch.__version__} cannot use", "install a build of torch for it")
    name = str(compute_dtype("auto")).removeprefix("torch.")
    return [gpu, ok("precision", f"auto is {name} here" + (f" ({', '.join(auto)})" if auto else ""))]


def _precisions() -> dict[str, str]:
    """Section of the profile -> its precision."""
    profile = YAML(typ="safe").load(profile_path())
    sections = {name: values for name, values in profile.items() if isinstance(values, dict)}
    return {name: str(values["precision"]) for name, values in sections.items() if "precision" in values}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


MEASURED = Path("data/results/logits.json")


def space_findings(asked: Asked) -> list[Finding]:
    """A line for each place that holds them: the project, with DVC's cache, and this user's cache."""
    tokens, per_token, how = num_tokens(), *bytes_per_token()
    need = tokens * per_token
    said = f"the teacher's logits take {_size(need)} at most ({tokens:,} tokens of {per_token:,.0f} bytes{how})"
    found = []
    for place, path in (("disk, project", Path("data")), ("disk, cache", cache_home())):
        free = shutil.disk_usage(_existing(path)).free
        line = f"{_size(free)} free in {path}, {said}"
        # the other place may be on the same disk
        found.append(
            ok(place, line) if free > 2 * need else missing(place, line, "make room: they are kept in two places")
        )
    return found


def num_tokens() -> int:
    """Response tokens of all examples, as many as the profile allows, each as long as a reply may be."""
    sizes, answers = load_profile("dataset", DatasetSizes), load_profile("prototype", PrototypeSizes).train
    learned = min(sizes.train, (answers or sizes.train) + load_profile("rft", RftSizes).labelled)
    return (learned + sizes.dev) * load("decode", DecodeConfig).max_new_tokens


def bytes_per_token() -> tuple[float, str]:
    """As measured in this project, else what top_k ids take unpacked; and which of them it is."""
    if MEASURED.is_file():
        return float(read_json(MEASURED)["bytes_per_token"]), f", as in {MEASURED}"
    return NAIVE_BYTES * load("logits", LogitsConfig).top_k, ", unpacked"


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.resolve(), *path.resolve().parents) if folder.is_dir())


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:,.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:,.1f} MB"


def store_findings(asked: Asked) -> list[Finding]:
    """A line for git, DVC's cache and each of its remotes."""
    return [_git(), *_dvc()]


def _git() -> Finding:
    if tried(["git", "rev-parse", "--git-dir"]).returncode:
        return missing("git", "no repository", "git init: DVC keeps its records there")
    if tried(["git", "rev-parse", "--verify", "HEAD"]).returncode:
        return warning("git", "no commit yet", "git add -A && git commit: experiments start from one")
    branch = said(["git", "branch", "--show-current"]) or "no branch"
    changed = len(said(["git", "status", "--porcelain"]).splitlines())
    state = f"{changed} files changed or new" if changed else "clean"
    return ok("git", f"{branch} at {said(['git', 'rev-parse', '--short', 'HEAD'])}, {state}")


def _dvc() -> list[Finding]:
    try:
        with Repo() as repo:
            return [_cache(repo), *_remotes(repo)]
    except NotDvcRepoError:
        return [missing("dvc", "no repository", "dvc init")]


def _cache(repo: Repo) -> Finding:
    """The way in which a file of the cache comes to the workspace: the first of cache.type that works here."""
    cache = repo.cache.local
    wanted = repo.config["cache"].get("type") or ["reflink", "copy"]  # DVC's own default
    inside = next(path for path in (Path(cache.path), *Path(cache.path).parents) if path.is_dir())
    known = [
        *generic.test_links(
            ["reflink", "hardlink", "symlink"], cache.fs, str(inside), repo.fs, str(Path(repo.root_dir, "link"))
        ),
        "copy",
    ]
    link = next((kind for kind in wanted if kind in known), "copy")
    line = f"{cache.path}, {link} (this file system knows {', '.join(known)})"
    if link == "copy" and len(known) > 1:
        remedy = "what is built takes its room twice: dvc config cache.type reflink,hardlink,symlink,copy"
        return warning("dvc cache", line, remedy)
    return ok("dvc cache", line)


def _remotes(repo: Repo) -> list[Finding]:
    remotes, default = repo.config["remote"], repo.config["core"].get("remote")
    if not default:
        names = f"none of {', '.join(remotes)} is the default" if remotes else "none"
        found = [warning("dvc remote", names, "dvc remote add --default <name> <url>, to share what is built")]
    else:
        found = []
    return found + [_remote(repo, name, default) for name in remotes]


def _remote(repo: Repo, name: str, default: str | None) -> Finding:
    settings = get_fs_config(repo.config, name=name)
    line = f"{settings['url']}{' (default)' if name == default else ''}"
    try:
        needs = get_fs_cls(settings).get_missing_deps()
    except ImportError as error:
        scheme = settings["url"].partition(":")[0]
        return missing(f"dvc remote {name}", f"{line}: {error}", f"pip install 'dvc[{scheme}]'")
    if needs:
        return missing(f"dvc remote {name}", f"{line}: lacks {', '.join(needs)}", f"pip install {' '.join(needs)}")
    return ok(f"dvc remote {name}", line)
