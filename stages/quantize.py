"""Quantize: a model in fewer bits (paper 3.3, App. E)."""

from pathlib import Path

from supertiny.compress.config import QuantizationConfig, QuantizedConfig
from supertiny.compress.quantize import quantize
from supertiny.core.config import load
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.model.checkpoint import load_tokenizer
from supertiny.sft.packs import read_training_set


def main(name: str, base: Path, rows: Path, data: Path, out: Path, report: Path) -> None:
    """Write `base` in the scheme of quantized model `name` to `out`, what it took and what it lost to `report`."""
    cfg = load("quantization", QuantizationConfig)
    scheme = load(f"trained.quantize.{name}", QuantizedConfig).scheme
    packs = read_training_set(data, rows).packs(load_tokenizer(base))
    write_json(report, quantize(base, scheme, packs, out, cfg))


if __name__ == "__main__":
    run(main)
