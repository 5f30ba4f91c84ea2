"""git, DVC, and what stage `resolve` recorded. Apart from doctor.py, which imports no check before its turn."""

from pathlib import Path

from dvc.exceptions import NotDvcRepoError
from dvc.fs import generic, get_fs_cls, get_fs_config
from dvc.repo import Repo

from supertiny.commands.packages import Asked
from supertiny.core.code import Tree
from supertiny.core.config import MACHINE, profile, profile_path
from supertiny.core.files import read_json
from supertiny.core.findings import Finding, missing, ok, warning
from supertiny.core.git import said, tried
from supertiny.engines.reach import CODE, stale


def findings(_: Asked) -> list[Finding]:
    """A line for git, DVC's cache and each of its remotes, and one for what the graph was resolved to."""
    return [_git(), *_dvc(), _resolved()]


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


def _resolved() -> Finding:
    """Whether the profile and the code are those that the stages' reruns hang on."""
    if not (MACHINE.is_file() and CODE.is_dir()):
        return warning("resolve", f"{MACHINE} and {CODE} are not there yet", LOOK)
    if read_json(MACHINE) != {"profile": profile_path().stem, **profile()}:
        return warning("resolve", f"{MACHINE} is not what {profile_path()} says now", LOOK)
    if changed := stale(CODE, Tree(Path())):
        return warning("resolve", f"{CODE} is of other code than {', '.join(changed)} reach now", LOOK)
    return ok("resolve", f"{MACHINE} and {CODE} are what profile and code are now")


LOOK = "`make status` records them, and says what would run"
