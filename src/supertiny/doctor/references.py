"""Names in params.yaml of what no stage makes: the stage that wants it would say so, hours behind the first one."""

from pathlib import Path

from ruamel.yaml import YAML

from supertiny.core.config import PARAMS
from supertiny.core.errors import UserError
from supertiny.plan.graph import GRAPH, stages

DATA = Path("data")


def known() -> None:
    """Whatever a stage reads of the graph's data is made by a stage, or there; else one error names all that is not."""
    if not GRAPH.is_file():
        return
    yaml = YAML(typ="safe")
    try:
        found = stages(yaml.load(GRAPH), yaml.load(PARAMS))
    except UserError:  # a stage of the user's own, with `vars` or `matrix`: DVC says itself what it cannot resolve
        return
    made = {Path(out) for stage in found for out in stage.outs}
    wrong = [
        f"{dep}, which stage {stage.name} reads"
        for stage in found
        for dep in map(Path, stage.deps)
        if DATA in dep.parents and not made & {dep, *dep.parents} and not dep.exists()
    ]
    if wrong:
        raise UserError(f"{PARAMS}: no stage makes {'; '.join(wrong)}: is a name wrong there, or still in {GRAPH}?")
