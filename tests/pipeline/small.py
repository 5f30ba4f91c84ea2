"""A graph of three quick stages whose results look like ours: what DVC, git and remotes do with it takes seconds."""

import shutil
from pathlib import Path

from .conftest import Checkout

PARAMS = """\
profile: smoke
distill: {mu: 0.7}
other: {width: 8}
systems:
  sft: {kind: model, model: sft, asked: models, title: "teacher"}
  tiny_kd: {kind: model, model: tiny_kd, asked: models, title: "student, KD"}
gates:
  every: {ar_drop: 0.02, ood_ar_drop: 0.05, gflops_rise: 0.05, weights_rise: 0.05, qps_drop: 0.25}
"""
DVC = """\
params: [params.yaml]
stages:
  resolve:
    cmd: python -m stages.resolve
    deps: [profiles, stages/resolve.py]
    outs: [data/machine.json: {cache: false}, data/code: {cache: false}]
  distill:
    desc: "The student: better the nearer mu, here ${distill.mu}, is to .7"
    cmd: python -m stages.distill
    deps: [stages/distill.py]
    params: [distill]
    outs: [data/model, data/results/model.json]
  report:
    desc: "Its figures"
    cmd: python -m stages.report
    deps: [stages/report.py, data/model, data/results]
    params: [profile]
    outs:
      - metrics: {cache: false}
metrics: [metrics/summary.json]
plots:
  - pareto:
      x: {metrics/pareto.csv: gflops}
      y: {metrics/pareto.csv: ar}
      template: scatter
  - same:
      x: {metrics/same.csv: step}
      y: {metrics/same.csv: loss}
  - metrics/pareto.svg
  - metrics/same.svg
"""
RESOLVE = """\
from pathlib import Path

Path("data/code").mkdir(parents=True)
Path("data/code/distill").write_text("0")
Path("data/machine.json").write_text("{}")
"""
DISTILL = """\
from pathlib import Path
from ruamel.yaml import YAML

mu = float(YAML(typ="safe").load(Path("params.yaml"))["distill"]["mu"])
Path("data/model").mkdir(parents=True)
Path("data/model/weights").write_text(f"{round(0.9 - abs(mu - 0.7), 4)}")
Path("data/results").mkdir(parents=True, exist_ok=True)
Path("data/results/model.json").write_text(f'{{"mu": {mu}}}')
"""
REPORT = """\
import json
from pathlib import Path

assert Path("data/results/model.json").is_file()
ar, out = float(Path("data/model/weights").read_text()), Path("metrics")
out.mkdir()
rate = lambda value: {"n": 100, "ar": value, "ar_low": round(value - 0.05, 4), "ar_high": round(value + 0.05, 4)}
row = lambda value: {**rate(value), "ood_ar": 0.5, "gflops": 20.0, "mb": 9.5, "qps": 4.0}
(out / "summary.json").write_text(json.dumps({"sft": {**row(0.9), "p50_ms": 250.0}, "tiny_kd": row(ar)}))
table = f"## Quality\\n\\n| AR |\\n|--:|\\n| {ar} |"
(out / "results.md").write_text(f"# Results\\n\\n{table}\\n\\nMeasured with one box.\\n")
(out / "pareto.csv").write_text(f"model,gflops,ar\\nsft,20,0.9\\ntiny_kd,20,{ar}\\n")
(out / "same.csv").write_text("step,loss\\n1,2.0\\n2,1.0\\n")
columns = "queries,model,split,function,n,ar"
(out / "functions.csv").write_text(f"{columns}\\n9,sft,test,lock,9,0.9\\n9,tiny_kd,ood,lock,9,{ar}\\n")
(out / "response.csv").write_text("model,of,clients,p50,p95\\nsft,sft,1,1.0,1.0\\n")
(out / "pareto.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{int(100 * ar)}" height="9"/>')
(out / "same.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
"""


def build(checkout: Checkout) -> Checkout:
    """Write the project into an empty folder, run it, commit it to branch main."""
    folder = checkout.path
    files = {"params.yaml": PARAMS, "profiles/smoke.yaml": "{}\n", "dvc.yaml": DVC}
    files |= {
        "stages/__init__.py": "",
        "stages/resolve.py": RESOLVE,
        "stages/distill.py": DISTILL,
        "stages/report.py": REPORT,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in (".dvcignore", ".gitignore"):  # ours: what they say of metrics/report.html is tried here
        shutil.copy2(Path(__file__).resolve().parents[2] / name, folder / name)
    checkout.run("git", "init", "--quiet", "--initial-branch", "main")
    checkout.dvc("init", "--quiet")
    checkout.dvc("repro")
    checkout.commit()
    return checkout
