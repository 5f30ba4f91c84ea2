"""Export: a folder that serves one model, with a card that says what it is worth and where it comes from."""

from pathlib import Path

from supertiny.commands.ask import DATA, HOME, model_folder
from supertiny.core.config import load
from supertiny.core.files import read_json
from supertiny.core.git import provenance
from supertiny.core.prompt import PromptConfig
from supertiny.retrieval.config import RetrievalConfig
from supertiny.serve.export import export

METRICS = Path("metrics/summary.json")


def main(model: str, out: Path, engine: str | None = None, home: Path = HOME, data: Path = DATA) -> None:
    """Write `model`, a name under `home`, with functions, index, encoders, GGUF and card to the new folder `out`.

    `engine` (sglang, vllm, trtllm or llama.cpp) is the one server besides our own that it is for; without it, each that
    can read it.
    """
    model_folder(home, model, "--model")
    metrics = read_json(METRICS).get(model, {}) if METRICS.is_file() else {}
    detail, prompt = load("retrieval", RetrievalConfig).detail, load("prompt", PromptConfig)
    export(model, home, data, detail, metrics, provenance(Path("dvc.lock")), out, prompt=prompt, engine=engine)
    print(f"{out}: ready; its README.md says how it is started")
