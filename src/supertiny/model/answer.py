"""A model ready to answer requests and chats."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Generic, TypeVar

import torch
from tqdm import tqdm
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from supertiny.core.ask import Chat, ChatConfig, ChatMachine, DecodeConfig, GenerateMachine, Generation, Request
from supertiny.core.code import file_hash
from supertiny.core.errors import UserError
from supertiny.core.files import digest, whole_file
from supertiny.core.prompt import THINKS
from supertiny.core.stage import cache_home
from supertiny.model import checkpoint
from supertiny.model.generate import Constraint, Encoded, Prefixes, Sampling, generate
from supertiny.model.hardware import compute_dtype, device


class Loaded:
    """Weights, tokenizer and grammars of one checkpoint folder."""

    def __init__(self, folder: Path, precision: str, of_clients: bool = False) -> None:
        self._tokenizer = checkpoint.load_tokenizer(folder)
        self._encode = request_encoder(self._tokenizer)
        self._model = checkpoint.load_model(folder, compute_dtype(precision)).to(device())
        self._prefixes = Prefixes(self._model, of_clients)
        self._name, self._positions = folder.name, checkpoint.positions(self._model.config)

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
        prompts: Sequence[Encoded] | None = None,
    ) -> list[Generation]:
        """The answer to each request, in the order given; `prompts` are theirs where they are encoded already."""

        def constrain(rows: list[int]) -> LogitsProcessor | None:
            return self._constraint.processor([requests[row] for row in rows]) if constrained else None

        if prompts is None:
            prompts = [self.encode(request, sampling.max_new_tokens) for request in requests]
        return generate(
            self._model, self._tokenizer, prompts, sampling, batch_size, constrain,
            progress=progress, prefixes=self._prefixes,
        )  # fmt: skip

    def encode(self, request: Request | Chat, max_new_tokens: int) -> Encoded:
        """Tokens of a request, as `request_encoder` has them; of a chat as the model's template has it.

        UserError where the model has no positions for them and so long an answer.
        """
        if isinstance(request, Chat):
            found = Encoded((), tuple(chat_ids(self._tokenizer, request)))
        else:
            found = self._encode(request)
        must_fit(len(found), max_new_tokens, self._positions, self._name)
        return found


LISTS = 64
"""lists of functions whose tokens are kept, the latest"""


def request_encoder(tokenizer: PreTrainedTokenizerBase) -> Callable[[Request], Encoded]:
    """Gives tokens of a request's two parts apart, exactly as in training; a list of functions is spelled once."""
    spell = checkpoint.encoder(tokenizer)
    listed = lru_cache(maxsize=LISTS)(lambda text: tuple(spell(text)))
    return lambda request: Encoded(listed(request.prompt.shared), tuple(spell(request.prompt.own)))


def must_fit(prompt: int, answer: int, positions: int, model: str) -> None:
    """UserError where a prompt and an answer of so many tokens are longer than the model reads."""
    if prompt + answer > positions:
        raise UserError(
            f"a prompt of {prompt} tokens and an answer of max_new_tokens: {answer} exceed the {positions} positions "
            f"of {model}; offer fewer functions, or say less"
        )


def chat_ids(tokenizer: PreTrainedTokenizerBase, chat: Chat) -> list[int]:
    """Tokens of the conversation up to the model's turn, by the tokenizer's chat template; without one, role by role.

    Control tokens are the template's: what a message spells, a user may have written, and is text.
    """
    if not tokenizer.chat_template:
        said = "".join(f"{role}: {text}\n" for role, text in chat.messages)
        return checkpoint.encoder(tokenizer)(f"{said}assistant:")
    messages = [{"role": role, "content": text} for role, text in chat.messages]
    how = {"add_generation_prompt": True, "return_dict": False, "sanitize_control_tokens": True}
    return list(tokenizer.apply_chat_template(messages, **how))


Asked = TypeVar("Asked", Chat, Request)
Config = TypeVar("Config", ChatConfig, DecodeConfig)


def identity(model: Path, machine: ChatMachine | GenerateMachine, engine: str) -> str:
    """Whose replies they are: the model, the engine, the code that asks it here, and what rounds its numbers."""
    code = [file_hash(file) for file in sorted(Path(__file__).parent.glob("*.py"))]
    rounding = (compute_dtype(machine.precision), device(), torch.__version__)
    return digest(model, engine, *map(str, rounding), machine.batch_size, *code)


class Replies(Generic[Asked, Config]):
    """The replies of one model to chats or requests, in this user's cache folder: a file of JSON lines a shard.

    A shard is answered whole, and found again whole. For what is asked together is computed in batches, and where two
    tokens are as likely, it hangs on a prompt's neighbours which is written. So replies are those of a first run,
    whatever was killed or asked before.
    """

    def __init__(
        self, identity: str, answer: Callable[[Sequence[Asked], Config], list[Generation]], shard: int
    ) -> None:
        self._answer: Callable[[Sequence[Asked], Config], list[Generation]] = answer
        self._shard = shard
        self._folder = cache_home() / "replies" / identity[:24]

    def ask(self, chats: Sequence[Asked], cfg: Config, progress: str) -> list[Generation]:
        """A reply to each chat, in the order given; equal chats (and equal `cfg`) get the same one."""
        keys = [digest(asdict(chat), asdict(cfg)) for chat in chats]
        asked, found = dict(zip(keys, chats, strict=True)), dict[str, Generation]()
        todo = list(asked)
        with tqdm(total=len(todo), desc=progress, unit="chat") as bar:
            for start in range(0, len(todo), self._shard):
                shard = todo[start : start + self._shard]
                path = self._folder / f"{digest(shard)[:24]}.jsonl"
                if not path.is_file():
                    replies = self._answer([asked[key] for key in shard], cfg)
                    write_replies(path, dict(zip(shard, replies, strict=True)))
                found |= _all_of(shard, path)
                bar.update(len(shard))
        return [found[key] for key in keys]


def _all_of(shard: Sequence[str], path: Path) -> dict[str, Generation]:
    found = read_replies(path)
    if list(found) != list(shard):
        raise UserError(f"{path}: does not hold the replies that it is named by; delete the file to ask again")
    return found


def read_replies(path: Path) -> dict[str, Generation]:
    """What `write_replies` wrote; a line that is none is an error that names it."""
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").rstrip("\n").split("\n"), 1):
        try:
            row = json.loads(line)
            key = row.pop("key")
            found[key] = Generation(**row)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path}, line {number}: no kept reply; delete the file to ask again") from None
    return found


def write_replies(path: Path, found: Mapping[str, Generation]) -> None:
    """Write one kept reply a line."""
    lines = [json.dumps({"key": key, **asdict(one)}, ensure_ascii=False) for key, one in found.items()]
    with whole_file(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
