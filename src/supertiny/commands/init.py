"""Init: a new project of your own functions and queries, where `dvc repro` works."""

from pathlib import Path

from supertiny.core.findings import State, in_lines
from supertiny.data.dataset import OwnConfig
from supertiny.project.create import create


def main(
    folder: Path,
    functions: Path,
    queries: Path,
    verdicts: Path | None = None,
    knowledge: Path | None = None,
    profile: str = "cpu",
) -> None:
    """Make the new project `folder` (also as `supertiny init FOLDER`) after a look at the files, which it says.

    Functions: a list of tools in the OpenAI schema. Queries: JSONL, {"id", "query"} and, labelled, "answers". Verdicts
    of experts and explanations of terms are optional. Nothing is left where the files are wrong.
    """
    files = OwnConfig(
        functions=str(functions),
        queries=str(queries),
        verdicts=str(verdicts) if verdicts else None,
        knowledge=str(knowledge) if knowledge else None,
    )
    found = create(folder, files, profile)
    print(in_lines(found), end="")
    doubts = sum(finding.state is not State.OK for finding in found)
    look = f"; {doubts} of the above want a look (they are in its README.md too)" if doubts else ""
    print(f"{folder}: ready{look}. Go on there with `supertiny doctor`, then `dvc repro`")
