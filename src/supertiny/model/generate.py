"""Answers in batches: what the prompts of a batch share is computed once, whatever its length."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import xgrammar
from torch import Tensor
from tqdm import tqdm
from transformers import (
    Cache,
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from xgrammar.contrib.hf import LogitsProcessor as GrammarProcessor

from supertiny.core.ask import Chat, Generation, Request
from supertiny.core.calls import Function, Refusal, Syntax, python_literal
from supertiny.core.prompt import TAGS, call_schema


class Constraint:
    """Compiles the grammars of requests for one tokenizer; equal grammars are compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int, thinks: bool = False) -> None:
        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocab_size, stop_token_ids=tokenizer.eos_token_id
        )
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=2)
        self._thinks = thinks

    def processor(self, requests: Sequence[Request | Chat]) -> GrammarProcessor:
        """For one `generate` call over these rows."""
        grammars = [grammar(request, self._thinks) for request in requests]
        return GrammarProcessor([self._compiler.compile_grammar(one) for one in grammars])


def grammar(request: Request | Chat, thinks: bool) -> xgrammar.Grammar:
    """A call or a refusal for a request; for a chat what its schema says, compact; anything where it has none."""
    if isinstance(request, Request):
        space = xgrammar.Grammar.from_ebnf('root ::= " "')
        answer = _answer(request.candidates, request.syntax)
        return xgrammar.Grammar.concat(space, *(_thought(answer) if thinks else [answer]))
    return _compact(request.schema) if request.schema else xgrammar.Grammar.from_ebnf("root ::= [^\\0]*")


HALF_READ = re.compile(r"(\\\\)|\\x([0-9a-f]{2})(?=[0-9a-fA-F])")
"""a code of two hexadecimal digits before what is taken for its third"""


def text_of(grammar: xgrammar.Grammar) -> str:
    """The rules as a server takes them; `str` alone writes "éa" so that it is read as another letter."""
    return HALF_READ.sub(lambda part: part[1] or f"\\u00{part[2]}", str(grammar))


def _answer(functions: Sequence[Function], syntax: Syntax) -> xgrammar.Grammar:
    """A call of one of `functions`, as `written` writes it, or a refusal's words."""
    words = " | ".join(json.dumps(refusal.value) for refusal in Refusal)
    answers = [xgrammar.Grammar.from_ebnf(f"root ::= {words}")]
    if functions:
        schema = call_schema(functions)
        python = syntax is Syntax.python
        answers.append(xgrammar.Grammar.from_ebnf(_Python().rules(schema)) if python else _compact(json.dumps(schema)))
    return xgrammar.Grammar.union(*answers)


LITERALS = r"""
string ::= "\"" ([^\0-\x1f"\\] | "\\" (["\\/bfnrt] | "u" unit))* "\""
unit ::= [0-9A-CE-Fa-ce-f] hex hex hex | [Dd] [0-7] hex hex
hex ::= [0-9A-Fa-f]
integer ::= "-"? ("0" | [1-9] [0-9]*)
number ::= integer ("." [0-9]+)? ([eE] [+-]? [0-9]+)?
boolean ::= "True" | "False"
null ::= "None"
scalar ::= string | number | boolean
"""
"""a rule for each type of JSON schema that holds no other; no half of a surrogate pair is escaped. `scalar`: a value of
which the schema says nothing, of which the strict reader takes no other"""


class _Python:
    """What a schema of `call_schema` says, as EBNF of calls as Python writes them; rules are collected on the way."""

    def __init__(self) -> None:
        self._rules: list[str] = []

    def rules(self, schema: Mapping[str, Any]) -> str:
        """The whole grammar."""
        calls = " | ".join(self._call(one["properties"]) for one in schema["anyOf"])
        return "\n".join([f"root ::= {calls}", *self._rules]) + LITERALS

    def _call(self, said: Mapping[str, Any]) -> str:
        arguments = self._in_order(said["arguments"], "{}=".format)
        return self._rule(f'{_quoted(said["name"]["const"])} "(" {arguments} ")"')

    def _value(self, schema: Mapping[str, Any]) -> str:
        if "enum" in schema:
            return f"({' | '.join(_quoted(python_literal(value)) for value in schema['enum'])})"
        match schema.get("type"):
            case "array":
                item = self._value(schema["items"])
                return f'"[" ({item} (", " {item})*)? "]"'
            case "object":
                entries = self._in_order(schema, lambda key: f"{python_literal(key)}: ")
                return f'"{{" {entries} "}}"'
            case None:
                return "scalar"
            case name:
                return str(name)

    def _in_order(self, schema: Mapping[str, Any], key: Callable[[str], str]) -> str:
        """The properties of an object with commas between them: all that are required, others or not."""
        required = schema.get("required", ())
        parts = [
            (self._rule(f"{_quoted(key(name))} {self._value(one)}"), name in required)
            for name, one in schema["properties"].items()
        ]
        ways = []  # by which part is the first that is written
        for at, (first, needed) in enumerate(parts):
            ways.append(" ".join([first, *(f'(", " {rule}){"" if must else "?"}' for rule, must in parts[at + 1 :])]))
            if needed:
                break
        else:
            ways.append('""')
        return f"({' | '.join(ways)})"

    def _rule(self, body: str) -> str:
        """The name of a new rule."""
        name = f"r{len(self._rules)}"
        self._rules.append(f"{name} ::= {body}")
        return name


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _thought(answer: xgrammar.Grammar) -> list[xgrammar.Grammar]:
    """The answer between its tags, behind a thought that holds no tag."""
    before, between, after = json.dumps(TAGS[0]), json.dumps(TAGS[1] + TAGS[2]), json.dumps(TAGS[3])
    thought = xgrammar.Grammar.from_ebnf(f"root ::= {before} [^<]+ {between}")
    return [thought, answer, xgrammar.Grammar.from_ebnf(f"root ::= {after}")]


def _compact(schema: str) -> xgrammar.Grammar:
    return xgrammar.Grammar.from_json_schema(schema, any_whitespace=False, separators=(",", ":"))


MIN_SHARED = 16
"""tokens below which a shared prefix is not worth its own forward pass"""

Processor = Callable[[list[int]], LogitsProcessor | None]
"""indices of the prompts of one batch -> what constrains their logits, if anything"""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    max_new_tokens: int
    temperature: float = 0.0
    """0: the likeliest token"""
    seeds: Sequence[int] = ()
    """above 0: one for each prompt, whose sample depends on no other's"""


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    sampling: Sampling,
    batch_size: int,
    constrain: Processor = lambda rows: None,
    progress: str | None = None,
) -> list[Generation]:
    """The continuation of each tokenized prompt, in the order given."""
    order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index))
    shared = _Prefix(model)
    answers: dict[int, Generation] = {}
    with torch.inference_mode(), tqdm(total=len(prompts), desc=progress, disable=progress is None, unit="query") as bar:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            constraint = constrain(rows)
            processors = [*([constraint] if constraint else []), *_samplers(model, sampling, rows)]
            found = _batch(model, tokenizer, [prompts[row] for row in rows], sampling, shared, processors)
            answers.update(zip(rows, found, strict=True))
            bar.update(len(rows))
    return [answers[index] for index in range(len(prompts))]


@torch.inference_mode()
def rollouts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    each: int,
    sampling: Sampling,
    batch_size: int,
    progress: str | None = None,
) -> list[list[list[int]]]:
    """`each` samples for every tokenized prompt, as token ids with the end token where one was written.

    A prompt is computed once for all of them; `batch_size` samples at most are written at once (one prompt's at least).
    """
    order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index))
    some, found = max(1, batch_size // each), dict[int, list[list[int]]]()
    with tqdm(total=len(prompts), desc=progress, disable=progress is None, unit="prompt", leave=False) as bar:
        for start in range(0, len(order), some):
            rows = order[start : start + some]
            ids, mask = (one.to(model.device) for one in _left_padded([prompts[row] for row in rows], 0, tokenizer))
            cache = _read(model, ids[:, :-1], mask[:, :-1])  # the last token is left: its logits are needed
            cache.batch_repeat_interleave(each)
            ids, mask = ids.repeat_interleave(each, 0), mask.repeat_interleave(each, 0)
            written = _written(model, tokenizer, ids, mask, cache, sampling, _samplers(model, sampling, rows))
            for at, row in enumerate(rows):
                found[row] = [_ended(one, tokenizer.eos_token_id) for one in written[at * each : (at + 1) * each]]
            bar.update(len(rows))
    return [found[index] for index in range(len(prompts))]


class Sampler(LogitsProcessor):  # type: ignore[misc]  # transformers has no types
    """Adds Gumbel noise, so that the likeliest token is a sample of the softmax; a prompt draws from its own seed."""

    def __init__(self, temperature: float, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self._temperature = temperature
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """[rows, vocabulary] scores by temperature, with noise; the rows of a prompt stand together."""
        shape = len(scores) // len(self._generators), scores.shape[-1]
        drawn = torch.cat([torch.rand(shape, generator=one, device=one.device) for one in self._generators])
        return scores.float() / self._temperature - drawn.log().neg().log()


def _samplers(model: PreTrainedModel, sampling: Sampling, rows: Sequence[int]) -> list[LogitsProcessor]:
    """What makes the prompts `rows` be sampled; nothing where the likeliest token is wanted."""
    if not sampling.temperature:
        return []
    return [Sampler(sampling.temperature, [sampling.seeds[row] for row in rows], model.device)]


def _read(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> Cache:
    """Keys and values of left-padded prompts [rows, T]."""
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    model.base_model(ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
    return cache


class _Prefix:
    """The keys and values of the last shared prefix, copied for each batch that starts with it."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._ids: list[int] = []
        self._cache: Cache | None = None

    def cache(self, ids: list[int], rows: int) -> tuple[Cache, bool]:
        """The copy for so many rows, and whether it had to be computed."""
        new = ids != self._ids or self._cache is None
        if new:
            self._ids, self._cache = ids, DynamicCache(config=self._model.config)
            device = self._model.device
            self._model.base_model(torch.tensor([ids], device=device), past_key_values=self._cache, use_cache=True)
        copied = deepcopy(self._cache)
        assert copied is not None
        copied.batch_repeat_interleave(rows)
        return copied, new


def _batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[int]],
    sampling: Sampling,
    shared: _Prefix,
    processors: Sequence[LogitsProcessor],
) -> list[Generation]:
    prefix = common_prefix([prompt[:-1] for prompt in prompts])  # one token at least is left: its logits are needed
    prefix = prefix if len(prefix) >= MIN_SHARED and len(prompts) > 1 else []
    cache, computed = shared.cache(prefix, len(prompts)) if prefix else (None, False)
    ids, mask = (one.to(model.device) for one in _left_padded(prompts, len(prefix), tokenizer))
    written = _written(model, tokenizer, ids, mask, cache, sampling, processors)
    cached = [0 if computed and not at else len(prefix) for at in range(len(prompts))]  # the first pays for all
    return [
        _generation(tokenizer, row, len(prompt), len(prompt) - known)
        for row, prompt, known in zip(written, prompts, cached, strict=True)
    ]


def _written(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    ids: Tensor,
    mask: Tensor,
    cache: Cache | None,
    sampling: Sampling,
    processors: Sequence[LogitsProcessor],
) -> list[list[int]]:
    """What the model goes on with after each row of `ids` [rows, T], padding behind its end."""
    written = model.generate(
        ids,
        attention_mask=mask,
        past_key_values=cache,
        logits_processor=LogitsProcessorList(processors),
        max_new_tokens=sampling.max_new_tokens,
        do_sample=False,  # `Sampler` is the sampling
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return written[:, ids.shape[1] :].tolist()


def common_prefix(rows: list[list[int]]) -> list[int]:
    """What all rows start with: that of the smallest and the largest in dictionary order."""
    first, last = min(rows), max(rows)
    differs = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(map(len, rows)))
    return first[:differs]


def _left_padded(prompts: list[list[int]], shared: int, tokenizer: PreTrainedTokenizerBase) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask [rows, longest], padding between the shared prefix and the rest."""
    longest, pad_id = max(map(len, prompts)), tokenizer.pad_token_id
    ids = torch.tensor([p[:shared] + [pad_id] * (longest - len(p)) + p[shared:] for p in prompts])
    mask = torch.tensor([[1] * shared + [0] * (longest - len(p)) + [1] * (len(p) - shared) for p in prompts])
    return ids, mask


def _generation(tokenizer: PreTrainedTokenizerBase, row: list[int], prompt: int, uncached: int) -> Generation:
    ids = _ended(row, tokenizer.eos_token_id)
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Generation(text, prompt, uncached, len(ids))


def _ended(row: list[int], end: int) -> list[int]:
    """The row up to its end token; all of it where there is none."""
    return row[: row.index(end) + 1] if end in row else row
