"""The packages that pyproject.toml asks for: which are here, in what version, and which extra brings the others."""

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import supertiny
from supertiny.core.errors import UserError
from supertiny.core.findings import Finding, missing, ok, warning

PYPROJECT = Path("pyproject.toml")
USES = {
    "endpoint": "engine endpoint",
    "serve": "`supertiny serve`",
    "quantize": "scheme w4a16 of `trained.quantize`",
    "dev": "`make test` and `make check`",
}
"""what wants an extra, as a person says it"""


@dataclass(frozen=True, slots=True)
class Package:
    """One that is asked for."""

    name: str
    asked: str
    """versions, as in pyproject.toml: >=3.67,<4"""
    found: str | None
    """the version that is installed"""
    fits: bool
    """whether it is one of those asked for"""

    def __str__(self) -> str:
        return f"{self.name} {self.found or '-'}" + ("" if self.fits else f" (asked: {self.asked or 'any'})")


Asked = Mapping[str, list[Package]]
"""extra -> its packages; "" has those that are always needed"""


def read_packages() -> Asked:
    """What the project in the current folder asks for, beside what is installed."""
    if not PYPROJECT.is_file():
        raise UserError(f"{PYPROJECT} does not exist; run from the top folder of a project or of supertiny's checkout")
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    lists = {"": project["dependencies"], **project.get("optional-dependencies", {})}
    return {extra: list(_packages(lines, project["name"])) for extra, lines in lists.items()}


def findings(asked: Asked) -> list[Finding]:
    """A line for our own code, for what is always needed, and for each extra."""
    used = _used()
    return [_code(), *(_finding(extra, packages, used) for extra, packages in asked.items())]


def extra_of(name: str, asked: Asked) -> str:
    """How an import that fails is mended, by the extra that brings the package of that name, if one does."""
    for extra, packages in asked.items():
        if any(_normal(package.name) == _normal(name) for package in packages):
            return install(extra)
    return f"pip install {name}"


def install(extra: str) -> str:
    """The command that installs this project with an extra, "" for none."""
    return f"pip install -c constraints.txt -e '.{f'[{extra}]' if extra else ''}'"


def _code() -> Finding:
    """Stages run the project's own src/; the commands run what is installed, which may be another copy."""
    running, own = Path(supertiny.__file__).resolve().parent, Path("src/supertiny").resolve()
    if own.is_dir() and own != running:
        return warning("code", f"the commands run {running}, the stages {own}", install(""))
    return ok("code", str(running))


def _finding(extra: str, packages: Iterable[Package], used: Collection[str]) -> Finding:
    what = f"extra {extra}" if extra else "packages"
    wrong = [str(package) for package in packages if not package.fits]
    if not wrong:
        return ok(what, ", ".join(map(str, packages)))
    needed = not extra or extra in used
    use = f", for {USES[extra]}" if extra in USES else ""
    return (missing if needed else warning)(what, ", ".join(wrong), f"{install(extra)}{use}")


def _used() -> set[str]:
    """Extras without which the graph does not run as its parameters are; the extra of an engine bears its name."""
    try:
        from supertiny.compress.config import QuantizedConfig
        from supertiny.core.config import Engines, load_each, load_profile
    except ImportError:  # the line above says what is missing
        return set()
    try:
        chosen = asdict(load_profile("engines", Engines)).values()
        quantized = load_each("trained.quantize", QuantizedConfig, empty=True).values()
    except UserError:  # the next check says what is wrong
        return set()
    return {*chosen, *("quantize" for one in quantized if one.scheme == "w4a16")}


def _packages(lines: Iterable[str], project: str) -> Iterable[Package]:
    """The packages of some requirements; the project's own extras, which have lines of their own, left out."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        raise UserError(f"nothing of what {PYPROJECT} asks for is installed: {install('')}") from None
    for requirement in map(Requirement, lines):
        here = requirement.marker is None or requirement.marker.evaluate()
        if here and requirement.name != project:
            found = _version(requirement.name)
            fits = found is not None and requirement.specifier.contains(found, prereleases=True)
            yield Package(requirement.name, str(requirement.specifier), found, fits)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
