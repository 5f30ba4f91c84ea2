"""GPTQ: int4 codes that make up for each other's errors on the domain's own examples, by GPTQModel (App. E)."""

import os
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.model.hardware import compute_dtype, device
from supertiny.model.quantized import RECIPE, read_tensors
from supertiny.quantize.rounding import Quantized

ROWS_A_BATCH = 16
BITS = 4


def int4_by_gptq(base: Path, texts: Sequence[Sequence[int]], group: int, damp: float) -> Quantized:
    """W4A16: symmetric int4 codes, a scale for each `group` inputs of an output, calibrated on tokenized `texts`."""
    library = _library()
    how = library.QuantizeConfig(
        bits=BITS,
        group_size=group,
        sym=True,
        desc_act=False,  # columns in their own order: what every kernel takes
        true_sequential=False,  # a block's layers see its float inputs: two passes over the examples, not five
        damp_percent=damp,
        offload_to_disk=False,
        device=device(),
    )
    rows = [{"input_ids": list(ids), "attention_mask": [1] * len(ids)} for ids in texts]
    source = str(base.resolve())
    with TemporaryDirectory() as scratch, chdir(scratch):  # the library writes logs, with the time, where it runs
        model = library.GPTQModel.load(source, how, dtype=compute_dtype("auto"))
        model.quantize(rows, batch_size=ROWS_A_BATCH, calibration_data_min_length=1)
        model.save("made")
        recipe = read_json(Path("made/config.json"))[RECIPE]
        return Quantized(read_tensors(Path("made")), {key: recipe[key] for key in recipe if key != "meta"})


def _library() -> Any:
    """GPTQModel, asked to compile nothing, and to run where there are fewer than three cores."""
    os.environ.setdefault("GPTQMODEL_DISABLE_PACK_EXT", "1")
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
    try:
        import gptqmodel
    except ImportError:
        raise UserError("scheme w4a16 needs the package gptqmodel: pip install 'supertiny[quantize]'") from None
    return gptqmodel
