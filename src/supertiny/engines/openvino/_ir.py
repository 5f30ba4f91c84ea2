"""A checkpoint as OpenVINO reads it, converted once and kept by content.

The usual exporter (optimum-intel) holds transformers below what GPTQModel needs; OpenVINO's own converter traces the
network, and reports home unless it is told not to; the GGUF reader of GenAI takes no float32. So the network, which is
short, is written down in OpenVINO's operations: `_network`.
"""

from importlib.metadata import version
from pathlib import Path

import openvino
from filelock import FileLock
from openvino_tokenizers import convert_tokenizer
from transformers import PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.core.files import digest, whole_folder
from supertiny.core.resume import cache_home
from supertiny.engines.openvino._codes import codes
from supertiny.engines.openvino._network import network
from supertiny.model import checkpoint
from supertiny.model.quantized import E4M3Linear

KINDS = ("llama", "mistral", "qwen2")
"""model types that `network` writes down"""
ROPES = ("default", "linear", "llama3", "yarn")
"""rotary positions whose frequencies do not depend on the length of a text"""
MAKERS = ("openvino", "openvino-tokenizers")
"""packages whose versions make a representation what it is"""


def converted(model: Path) -> Path:
    """The folder that GenAI opens for the checkpoint `model`; made at the first call, found at every later one."""
    code = sorted(Path(__file__).parent.glob("*.py"))
    key = digest(model, [version(maker) for maker in MAKERS], *code)
    folder = cache_home() / "openvino" / key[:24]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            with whole_folder(folder) as partial:
                _write(model, partial)
    return folder


def _write(model: Path, folder: Path) -> None:
    """Network and tokenizer; the latter only tells the engine's grammars what each token spells."""
    loaded = checkpoint.load_model(model)
    _must_be_known(loaded, model)
    made = network(loaded, codes(model, loaded.state_dict()))
    openvino.save_model(made, folder / "openvino_model.xml", compress_to_fp16=False)
    tokenizers = convert_tokenizer(checkpoint.load_tokenizer(model), with_detokenizer=True)
    for name, part in zip(("tokenizer", "detokenizer"), tokenizers, strict=True):
        openvino.save_model(part, folder / f"openvino_{name}.xml")


def _must_be_known(model: PreTrainedModel, folder: Path) -> None:
    config, kinds = model.config, ", ".join(KINDS)
    windowed = getattr(config, "sliding_window", None) is not None
    if config.model_type not in KINDS or windowed or config.rope_parameters["rope_type"] not in ROPES:
        raise UserError(
            f"{folder}: engine 'openvino' runs {kinds} models, without a sliding window and with rotary positions of a "
            "fixed frequency; take engine 'native'"
        )
    if any(isinstance(one, E4M3Linear) for one in model.modules()):
        raise UserError(f"{folder}: engine 'openvino' multiplies no FP8 on CPUs; take 'native', or the float model")
