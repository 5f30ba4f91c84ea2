"""Row: one system's row of the results, as soon as it is measured; the report gathers them (Tables 2, 4)."""

from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.files import whole_file
from supertiny.core.stage import run
from supertiny.report.rows import model_configs, read_results, served_models
from supertiny.report.tables import row_page


def main(name: str, results: Path, out: Path) -> None:
    """Show what the stages before found out about `name` in folder `results`, and keep it in `out`."""
    configs = model_configs()
    if name not in configs:
        raise UserError(f"--name: expected one of {', '.join(configs)}, got {name!r}")
    page = row_page(read_results(results, configs[name], name in served_models()))
    print(f"\n{page}", flush=True)
    with whole_file(out) as partial:
        partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
