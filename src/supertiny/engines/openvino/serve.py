"""A model that many clients ask at once, computed by OpenVINO: greedy answers, constrained as the native engine's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from supertiny.core.errors import UserError
from supertiny.model import checkpoint
from supertiny.model.ask import DecodeConfig, GenerateMachine, Generation, Request
from supertiny.model.constrain import _grammar
from supertiny.prompt.thought import THINKS


@contextmanager
def serve(model: Path, cfg: DecodeConfig, machine: GenerateMachine) -> Iterator[Callable[[Request], Generation]]:
    """Give a thread-safe `ask(request)`; `machine.batch_size` requests at most are computed in one step.

    OpenVINO does not say what it found in its prefix cache: `uncached_tokens` are all of the prompt's.
    """
    try:
        from openvino_genai import GenerationConfig, StructuredOutputConfig

        from supertiny.engines.openvino._grammar import ebnf
        from supertiny.engines.openvino._ir import converted
        from supertiny.engines.openvino._pipeline import opened
    except ImportError as error:
        raise UserError(
            f"engine 'openvino' needs the package {error.name}: pip install 'supertiny[openvino]'"
        ) from None
    tokenizer, config = checkpoint.load_tokenizer(model), checkpoint.load_config(model)
    encode, thinks = checkpoint.encoder(tokenizer), getattr(config, THINKS, False)
    encode("")  # the first text may change the tokenizer, which no two threads may do at once

    def how(request: Request) -> Any:
        found = GenerationConfig(max_new_tokens=cfg.max_new_tokens)
        found.set_eos_token_id(tokenizer.eos_token_id)
        if cfg.constrained:
            found.structured_output_config = StructuredOutputConfig(grammar=ebnf(_grammar(request, thinks)))
        return found

    with opened(converted(model), machine) as write:

        def ask(request: Request) -> Generation:
            ids = encode(request.prompt.shared) + encode(request.prompt.own)  # apart, as in training
            _must_fit(len(ids), cfg.max_new_tokens, config.max_position_embeddings, model.name)
            written = write(ids, how(request))
            text = tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            return Generation(text, len(ids), len(ids), len(written))

        yield ask


def _must_fit(prompt: int, answer: int, positions: int, model: str) -> None:
    if prompt + answer > positions:
        raise UserError(
            f"a prompt of {prompt} tokens and an answer of decode.max_new_tokens: {answer} exceed the {positions} "
            f"positions of {model}; offer fewer functions"
        )
