"""The plan as text."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supertiny.core.errors import UserError
from supertiny.plan.commands import Started, cannot, refused, started
from supertiny.plan.graph import Stage
from supertiny.plan.reckon import Taken, taken
from supertiny.plan.setting import Setting
from supertiny.plan.shapes import Sized
from supertiny.plan.work import work
from supertiny.report.markdown import number, table


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One stage."""

    stage: Stage
    parts: tuple[Taken, ...]
    programs: tuple[Started, ...]
    warnings: tuple[str, ...]


def planned(stage: Stage, models: Mapping[str, Sized], setting: Setting) -> Planned:
    """All that is known of `stage` before it runs."""
    pieces = work(stage, setting)
    warnings = cannot(stage, pieces, setting)
    parts = [taken(piece, models, setting) for piece in pieces]
    programs: list[Started] = []
    try:
        programs = started(stage, pieces, models, setting)
    except UserError as error:
        warnings.append(refused(error))
    warnings += [warning for part in parts for warning in part.warnings]
    return Planned(stage=stage, parts=tuple(parts), programs=tuple(programs), warnings=tuple(dict.fromkeys(warnings)))


def page(found: Sequence[Planned], profile: str, setting: Setting) -> str:
    """The table, what cannot be, and every command line."""
    gpus, total = setting.gpus, sum(part.hours for one in found for part in one.parts)
    head = (
        f"Profile {profile}: {gpus.count} GPUs of {number(gpus.memory_gb)} GB, {number(gpus.tflops)} TFLOPS and "
        f"{number(gpus.tb_s)} TB/s each at their peak, of which {number(gpus.compute_share)} and "
        f"{number(gpus.bandwidth_share)} are taken to be reached. Hours are estimates from above (all answers "
        f"accepted, no prefix shared in training); stages that are not listed take minutes.\n\n"
        f"{number(total)} hours in all, one stage after the other.\n"
    )
    warned = [f"- {one.stage.name}: {warning}" for one in found for warning in one.warnings]
    warnings = "\n".join(["Warnings:", *warned]) if warned else "Nothing is known that cannot fit."
    lines = [f"# {one.stage.name}\n" + "\n".join(_commands(one)) for one in found]
    return "\n".join([head, _table(found), "", warnings, "", "```bash", "\n\n".join(lines), "```", ""])


def _table(found: Sequence[Planned]) -> str:
    """Without the stages that take minutes."""
    rows = [[one.stage.name, *_cells(part)] for one in found for part in one.parts]
    return table(["stage", "engine", "GPUs", "GB a GPU", "hours"], rows)


def _cells(part: Taken) -> list[str]:
    return [part.engine, number(part.gpus), number(part.memory_gb, 1), number(part.hours)]


def _commands(one: Planned) -> list[str]:
    starts = [f"#   starts, by engine {program.engine}:\n#   {shlex.join(program.words)}" for program in one.programs]
    return [one.stage.command, *starts]
