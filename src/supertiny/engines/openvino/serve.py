"""A model that many clients ask at once, computed by OpenVINO: greedy answers, constrained as the native engine's."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import openvino
import xgrammar
from filelock import FileLock
from openvino_tokenizers import convert_tokenizer
from transformers import PreTrainedModel

from supertiny.core.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.core.errors import UserError
from supertiny.core.files import digest, whole_folder
from supertiny.core.prompt import THINKS
from supertiny.core.stage import cache_home
from supertiny.engines.openvino.network import codes, network
from supertiny.model import checkpoint
from supertiny.model.answer import must_fit, request_encoder
from supertiny.model.checkpoint import E4M3Linear
from supertiny.model.generate import grammar, text_of

PART = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\{(\d+), -1\}')
"""a literal, a class of characters, or `at least n times`"""


def ebnf(grammar: xgrammar.Grammar) -> str:
    """The rules of `grammar`; {n, -1} becomes {n,}, which every version reads.

    What it admits is the same but for one thing: the older library lets bytes pass that are no UTF-8.
    """
    return PART.sub(lambda part: part[0] if part[1] is None else f"{{{part[1]},}}", text_of(grammar))


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


@contextmanager
def serve(model: Path, cfg: DecodeConfig, machine: GenerateMachine) -> Iterator[Callable[[Request], Generation]]:
    """Give a thread-safe `ask(request)`; `machine.batch_size` requests at most are computed in one step.

    OpenVINO does not say what it found in its prefix cache: `uncached_tokens` are all of the prompt's.
    """
    try:
        from openvino_genai import GenerationConfig, StructuredOutputConfig

        from supertiny.engines.openvino.pipeline import opened
    except ImportError as error:
        raise UserError(
            f"engine 'openvino' needs the package {error.name}: pip install 'supertiny[openvino]'"
        ) from None
    tokenizer, config = checkpoint.load_tokenizer(model), checkpoint.load_config(model)
    encode, thinks = request_encoder(tokenizer), getattr(config, THINKS, False)

    def how(request: Request) -> Any:
        found = GenerationConfig(max_new_tokens=cfg.max_new_tokens)
        found.set_eos_token_id(tokenizer.eos_token_id)
        if cfg.constrained:
            found.structured_output_config = StructuredOutputConfig(grammar=ebnf(grammar(request, thinks)))
        return found

    with opened(converted(model), machine) as write:

        def ask(request: Request) -> Generation:
            ids = list(encode(request).ids)
            must_fit(len(ids), cfg.max_new_tokens, config.max_position_embeddings, model.name)
            written = write(ids, how(request))
            text = tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            return Generation(text, len(ids), len(ids), len(written))

        yield ask
