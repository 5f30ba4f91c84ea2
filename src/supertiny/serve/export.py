"""A deployment folder: all that the online path needs, a card that says where it comes from and what it is worth."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supertiny.core.config import PARAMS, profile_path
from supertiny.core.errors import UserError
from supertiny.core.files import whole_folder, write_json, write_text
from supertiny.core.git import Provenance
from supertiny.core.records import read_functions
from supertiny.model.checkpoint import recipe
from supertiny.retrieval.index import FILE, write_index
from supertiny.serve.gguf import write_gguf

INDEXED, CLASSIFIER = "encoder", "retriever"
ENCODERS = (INDEXED, CLASSIFIER)
"""what finds the candidates: the index's encoder, the classifier where there is one"""
FUNCTIONS = "functions.json"
DATA = (FUNCTIONS, "knowledge.json", "expert.jsonl")


def export(
    name: str, models: Path, data: Path, detail: str, metrics: Mapping[str, Any], origin: Provenance, out: Path
) -> None:
    """Write model `name` with all it needs to folder `out`, whole or not at all; `metrics` are its own.

    `detail` is how much a function's document says.
    """
    if out.exists():
        raise UserError(f"--out: {out} exists; remove it or name another folder")
    with whole_folder(out) as partial:
        shutil.copytree(models / name, partial / "models" / name)
        for encoder in ENCODERS:
            if (models / encoder).is_dir():
                shutil.copytree(models / encoder, partial / "models" / encoder)
        if (partial / "models" / INDEXED).is_dir():
            pool = read_functions(data / FUNCTIONS)
            write_index(partial / "models" / INDEXED, pool.values(), detail, partial / "models" / FILE)
        for file in DATA:
            _copy(data / file, partial / "dataset" / file)
        for path in (PARAMS, profile_path()):
            _copy(path, partial / path)
        has_gguf = recipe(models / name) is None
        if has_gguf:
            write_gguf(models / name, partial / "models" / f"{name}.gguf")
        write_json(partial / "card.json", {"model": name, "metrics": metrics, "git": origin.revision,
                                           "dvc_lock_sha256": origin.lock_sha256})  # fmt: skip
        by = "" if (partial / "models" / CLASSIFIER).is_dir() else " --by embedding"
        write_text(partial / "README.md", _card(name, metrics, origin, has_gguf, by))


def _card(name: str, metrics: Mapping[str, Any], origin: Provenance, has_gguf: bool, by: str) -> str:
    rows = [f"| {key} | {value} |" for key, value in _flat(metrics)]
    measured = "\n".join(rows) or "| (none in metrics/summary.json) | |"
    starts = [
        ("the whole online path", f"supertiny serve --models {name} --home models --data dataset{by}"),
        ("SGLang", f"python -m sglang.launch_server --model-path models/{name} --port 30000"),
        ("vLLM", f"vllm serve models/{name} --port 8000"),
    ]
    if has_gguf:  # a float model: TensorRT-LLM 1.2 reads none of our quantized folders as they are
        starts += [
            ("TensorRT-LLM", f"trtllm-serve models/{name} --port 8000"),
            ("llama.cpp", f"llama-server -m models/{name}.gguf --port 8080"),
        ]
    commands = "\n".join(f"# {what}\n{command}" for what, command in starts)
    return f"""# {name}

A super-tiny model for one function-calling task, made by supertiny.

| measured | |
|:--|--:|
{measured}

Source: git {origin.revision}, dvc.lock sha256 {origin.lock_sha256}. `params.yaml` and `profiles/` are those it was made
with. `models/` holds the model{" (also as GGUF)" if has_gguf else ""} and the encoders that find candidates, with
the index of the functions' documents; `dataset/` the functions and what is known of terms.

```bash
{commands}
```

Only the first command knows the functions, builds the prompt and holds the answer to a valid call; the others serve the
bare model to a client that does so.
"""


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in metrics.items():
        rows += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return rows


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
