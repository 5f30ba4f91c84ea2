"""A model ready to answer requests and chats."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from transformers import LogitsProcessor, PreTrainedTokenizerBase

from supertiny.model import attention, checkpoint
from supertiny.model.ask import Chat, Generation, Request
from supertiny.model.constrain import Constraint
from supertiny.model.generate import Sampling, generate
from supertiny.model.hardware import compute_dtype, device
from supertiny.prompt.thought import THINKS


class Loaded:
    """Weights, tokenizer and grammars of one checkpoint folder."""

    def __init__(self, folder: Path, precision: str) -> None:
        self._tokenizer = checkpoint.load_tokenizer(folder)
        dtype, where = compute_dtype(precision), device()
        self._model = checkpoint.load_model(folder, dtype).to(where)
        attention.use_fastest(self._model, dtype, where)

    @cached_property
    def _constraint(self) -> Constraint:
        config = self._model.config
        return Constraint(self._tokenizer, config.vocab_size, thinks=getattr(config, THINKS, False))

    def answer(
        self,
        requests: Sequence[Request | Chat],
        sampling: Sampling,
        batch_size: int,
        constrained: bool,
        progress: str | None = None,
    ) -> list[Generation]:
        """The answer to each request, in the order given."""

        def constrain(rows: list[int]) -> LogitsProcessor | None:
            return self._constraint.processor([requests[row] for row in rows]) if constrained else None

        prompts = [self._encode(request) for request in requests]
        return generate(self._model, self._tokenizer, prompts, sampling, batch_size, constrain, progress)

    def _encode(self, request: Request | Chat) -> list[int]:
        """Tokens of a request's two parts apart, exactly as in training; of a chat as the model's template has it."""
        encode = checkpoint.encoder(self._tokenizer)
        if isinstance(request, Chat):
            return encode(chat_text(self._tokenizer, request))
        return encode(request.prompt.shared) + encode(request.prompt.own)


def chat_text(tokenizer: PreTrainedTokenizerBase, chat: Chat) -> str:
    """The conversation up to the model's turn, by the tokenizer's chat template; without one, role by role."""
    if not tokenizer.chat_template:
        return "".join(f"{role}: {text}\n" for role, text in chat.messages) + "assistant:"
    messages = [{"role": role, "content": text} for role, text in chat.messages]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
