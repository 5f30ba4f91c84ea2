"""Resolve: every parameter checked, the profile over its base, and a hash of the code that each script reaches."""

from pathlib import Path

from supertiny.commands.settings import refuse
from supertiny.core.code import Tree
from supertiny.core.config import MACHINE, profile, profile_path
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.engines.reach import CODE, explained, write_codes


def main(machine: Path = MACHINE, code: Path = CODE, explain: str | None = None) -> None:
    """Write the chosen profile to `machine`, and the hash of each script's code to folder `code`.

    `explain`, a file of that folder such as evaluate-model: only say which code is behind it, and what of it changed.
    """
    if explain is not None:
        print(explained(code, Tree(Path()), explain))
        return
    refuse()
    write_json(machine, {"profile": profile_path().stem, **profile()})
    write_codes(code, Tree(Path()))


if __name__ == "__main__":
    run(main)
