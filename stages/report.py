"""Report: the paper's tables and figures from every model's and step's results (paper Tables 1, 2, 4, 5)."""

from pathlib import Path

from supertiny.core.config import profile_path
from supertiny.core.files import read_json, whole_folder
from supertiny.core.stage import run
from supertiny.report.page import STEPS, write_report
from supertiny.report.rows import model_configs, read_curve, read_results, read_steps, served_models, thin


def main(stats: Path, results: Path, logs: Path, out: Path) -> None:
    """Write summary, tables, plot data and pictures of the models that params.yaml declares to folder `out`."""
    configs, served = model_configs(), served_models()
    models = {name: read_results(results / name, config, name in served) for name, config in configs.items()}
    curves = {
        name: thin(read_curve(logs / f"{config.log}.csv")) for name, config in configs.items() if config.log is not None
    }
    found = read_steps(results, STEPS)
    with whole_folder(out) as folder:
        write_report(folder, models, curves, read_json(stats), found, profile_path().stem)


if __name__ == "__main__":
    run(main)
