"""Answers in batches: what the prompts of a batch share is computed and held once, whatever its length."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import xgrammar
from torch import Tensor, nn
from tqdm import tqdm
from transformers import LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase
from xgrammar.contrib.hf import LogitsProcessor as GrammarProcessor

from supertiny.core.ask import Chat, Generation, Request
from supertiny.core.calls import Function, Refusal, Syntax, python_literal
from supertiny.core.prompt import TAGS, call_schema
from supertiny.model.hardware import Keys, attend, attend_alone, hidden_states

GRAMMARS, GRAMMAR_BYTES = 64, 2**28
"""that are held for later requests, the latest: how many here, and bytes in the compiler"""


class Constraint:
    """Compiles the grammars of requests for one tokenizer; equal grammars are compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int, thinks: bool = False) -> None:
        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocab_size, stop_token_ids=tokenizer.eos_token_id
        )
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=2, cache_limit_bytes=GRAMMAR_BYTES)
        self._thinks = thinks
        self._compiled = dict[Any, xgrammar.CompiledGrammar]()

    def processor(self, requests: Sequence[Request | Chat]) -> GrammarProcessor:
        """For one `generate` call over these rows."""
        return GrammarProcessor([self._grammar(request) for request in requests])

    def _grammar(self, request: Request | Chat) -> xgrammar.CompiledGrammar:
        """Of a request, which is asked for again and again of one list of functions, found by what that list says."""
        key = _key(request)
        if key not in self._compiled:
            while len(self._compiled) >= GRAMMARS:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[key] = self._compiler.compile_grammar(grammar(request, self._thinks))
        return self._compiled[key]


def _key(request: Request | Chat) -> Any:
    if isinstance(request, Chat):
        return request.schema
    return request.syntax, tuple((one.name, tuple(one.parameters.items())) for one in request.candidates)


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
"""
"""a rule for each type of JSON schema that holds no other; no half of a surrogate pair is escaped"""


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
        if "anyOf" in schema:
            return f"({' | '.join(map(self._value, schema['anyOf']))})"
        match schema["type"]:
            case "array":
                item = self._value(schema["items"])
                return f'"[" ({item} (", " {item})*)? "]"'
            case "object":
                entries = self._in_order(schema, lambda key: f"{python_literal(key)}: ")
                return f'"{{" {entries} "}}"'
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
KEPT_TOKENS = 8192
"""of all prefixes that are held for later requests; the one read last stays however long it is"""
GROWTH = 64
"""tokens by which the room for a row's keys and values grows: they are copied once in so many steps"""

Processor = Callable[[list[int]], LogitsProcessor | None]
"""indices of the prompts of one batch -> what constrains their logits, if anything"""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt's tokens in two parts: what others begin with too (the list of functions), and what it alone brings."""

    shared: tuple[int, ...]
    own: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.shared) + len(self.own)

    @property
    def ids(self) -> tuple[int, ...]:
        """All of them."""
        return self.shared + self.own


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
    prompts: Sequence[Encoded],
    sampling: Sampling,
    batch_size: int,
    constrain: Processor = lambda rows: None,
    *,
    progress: str | None = None,
    prefixes: "Prefixes | None" = None,
) -> list[Generation]:
    """The continuation of each prompt, in the order given; `prefixes` holds what earlier calls read of `model`."""
    prefixes = prefixes or Prefixes(model)
    answers: dict[int, Generation] = {}
    with torch.inference_mode(), tqdm(total=len(prompts), desc=progress, disable=progress is None, unit="query") as bar:
        for rows in _batches(prompts, batch_size, prefixes):
            constraint = constrain(rows)
            processors = [*([constraint] if constraint else []), *_samplers(model, sampling, rows)]
            found = _batch(model, tokenizer, [prompts[row] for row in rows], sampling, prefixes, processors)
            answers.update(zip(rows, found, strict=True))
            bar.update(len(rows))
    return [answers[index] for index in range(len(prompts))]


@torch.inference_mode()
def rollouts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Encoded],
    each: int,
    sampling: Sampling,
    batch_size: int,
    progress: str | None = None,
) -> list[list[list[int]]]:
    """`each` samples for every prompt, as token ids with the end token where one was written.

    A prompt is computed once for all of them; `batch_size` samples at most are written at once (one prompt's at least).
    """
    some, found, prefixes = max(1, batch_size // each), dict[int, list[list[int]]](), Prefixes(model)
    with tqdm(total=len(prompts), desc=progress, disable=progress is None, unit="prompt", leave=False) as bar:
        for rows in _batches(prompts, some, prefixes):
            asked = [prompts[row] for row in rows]
            above, own, _ = prefixes.of(asked)
            if max(map(len, own)) > 1:  # the last token is left: its logits are needed
                above = Rows(above)
                above.read(model, *_left_padded([one[:-1] for one in own], tokenizer, model.device))
            last = torch.tensor([one[-1:] for one in own], device=model.device).repeat_interleave(each, 0)
            samplers = _samplers(model, sampling, rows)
            written = _written(model, tokenizer.eos_token_id, Rows(above), (last, None), sampling, samplers)
            for at, row in enumerate(rows):
                found[row] = [_ended(one, tokenizer.eos_token_id) for one in written[at * each : (at + 1) * each]]
            bar.update(len(rows))
    return [found[index] for index in range(len(prompts))]


def _batches(prompts: Sequence[Encoded], size: int, prefixes: "Prefixes") -> Iterator[list[int]]:
    """Which prompts are answered together, at most `size`: of one shared part, and of like length.

    Prompts whose part is nobody else's are answered together: one by one they would take as many steps each. Not those
    of clients, who ask again: each of their parts is read once, and held.
    """
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, prompt in enumerate(prompts):
        alike.setdefault(prompt.shared, []).append(index)
    alone = [shared for shared, rows in alike.items() if len(rows) == 1 and not prefixes.of_clients]
    mixed = [alike.pop(shared)[0] for shared in alone]
    for rows in (*alike.values(), mixed):
        order = sorted(rows, key=lambda index: (len(prompts[index]), index))
        yield from (order[start : start + size] for start in range(0, len(order), size))


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


class Rows:
    """Keys and values of R rows of tokens that a model has read, behind those of `above`, which are held there once.

    Each row of `above` is what as many of these begin with, one behind another, and may have rows above it in turn.
    Shapes: T new tokens of a row, S all of its own.
    """

    def __init__(self, above: "Rows | None" = None) -> None:
        self._above = above
        self._real: Tensor | None = None
        """[R, S] False where padded"""
        self._padded = False
        self._seen: Tensor | None = None
        """as `attend_alone` has it, of the tokens that are being read"""
        self._kept: dict[int, list[Tensor]] = {}
        """block -> keys, values [K, R, S or more, D]"""

    def read(self, model: PreTrainedModel, ids: Tensor, real: Tensor | None) -> Tensor:
        """Hidden states [R, T, width] of the next tokens `ids`; `real` [R, T] is False where padded, None: nowhere.

        Padding stands before a row's first token.
        """
        R, T = ids.shape
        self._padded = self._padded or real is not None
        real = torch.ones_like(ids, dtype=torch.bool) if real is None else real
        self._real = real if self._real is None else torch.cat([self._real, real], 1)
        self._seen = self._sight(T)
        positions = self._real.cumsum(1)[:, -T:] - 1
        if self._above:
            ends = self._above.ends()
            positions = positions + ends.repeat_interleave(R // len(ends))[:, None]
        return hidden_states(model, ids, positions.clamp(min=0), self)

    def ends(self) -> Tensor:
        """[R] the position behind each row's last token."""
        assert self._real is not None, "nothing was read"
        own = self._real.sum(1)
        if self._above is None:
            return own
        ends = self._above.ends()
        return own + ends.repeat_interleave(len(own) // len(ends))

    def attend(self, block: Any, q: Tensor, k: Tensor, v: Tensor, scaling: float) -> Tensor:
        """What each new token reads: q [R, H, T, D], k and v [R, K, T, D] -> [R, T, H, D]."""
        self._keep(block.layer_idx, k, v)
        *above, own = self.keys(block.layer_idx)
        if above:
            return attend(q, [*above, Keys(own.k, own.v, self._seen)], scaling)
        return attend_alone(block, q, own.k.transpose(0, 1), own.v.transpose(0, 1), self._seen, scaling)

    def keys(self, block: int) -> list[Keys]:
        """What rows behind these read in a block, from above down."""
        assert self._real is not None, "nothing was read"
        k, v = (one[:, :, : self._real.shape[1]] for one in self._kept[block])
        own = Keys(k, v, self._real[:, None] if self._padded else None)
        return [*(self._above.keys(block) if self._above else []), own]

    def _sight(self, new: int) -> Tensor | None:
        """What of its own row each of the last `new` tokens sees; padding sees itself, so that no softmax is empty."""
        assert self._real is not None
        size = self._real.shape[1]
        if not self._padded and (new == 1 or (new == size and self._above is None)):
            return None
        square = torch.ones(new, size, dtype=torch.bool, device=self._real.device)
        itself = square.tril(size - new).triu(size - new)
        return self._real[:, None] & square.tril(size - new) | itself

    def _keep(self, block: int, k: Tensor, v: Tensor) -> None:
        assert self._real is not None
        size, new = self._real.shape[1], [one.transpose(0, 1) for one in (k, v)]
        if block in self._kept:
            pairs = zip(self._kept[block], new, strict=True)
            self._kept[block] = [_grown(kept, one, size) for kept, one in pairs]
        else:
            self._kept[block] = [one.contiguous() for one in new]


def _grown(kept: Tensor, new: Tensor, size: int) -> Tensor:
    """`kept` [K, R, S or more, D] with `new` [K, R, T, D] at the end of its first `size`; in place if it has room."""
    if kept.shape[2] < size:
        kept = nn.functional.pad(kept, (0, 0, 0, size - kept.shape[2] + GROWTH))
    kept[:, :, size - new.shape[2] : size] = new
    return kept


class Prefixes:
    """What prompts begin with, each read once and held for those that come, the latest within `KEPT_TOKENS`."""

    def __init__(self, model: PreTrainedModel, of_clients: bool = False) -> None:
        self._model = model
        self.of_clients = of_clients
        self._kept: dict[tuple[int, ...], Rows] = {}
        """the one used last stands last"""

    def of(self, prompts: Sequence[Encoded]) -> tuple[Rows | None, list[list[int]], bool]:
        """What prompts begin with, the rest of each, and whether the former had to be computed.

        None where it is not worth a pass. Prompts that do not share their first part, and chats, which have none, begin
        with what they have in common.
        """
        shared, own = prompts[0].shared, [list(one.own) for one in prompts]
        if any(one.shared != shared for one in prompts):
            shared, own = (), [list(one.ids) for one in prompts]
        if not shared and len(prompts) > 1:
            common = common_prefix([one[:-1] for one in own])  # one token at least is left: its logits are needed
            shared, own = tuple(common), [one[len(common) :] for one in own]
        if len(shared) < MIN_SHARED:
            return None, [[*shared, *one] for one in own], False
        rows = self._kept.pop(shared, None)
        new = rows is None
        if rows is None:
            rows = Rows()
            rows.read(self._model, torch.tensor([shared], device=self._model.device), None)
        self._kept[shared] = rows
        while sum(map(len, self._kept)) > KEPT_TOKENS and len(self._kept) > 1:
            del self._kept[next(iter(self._kept))]
        return rows, own, new


def _batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Encoded],
    sampling: Sampling,
    prefixes: Prefixes,
    processors: Sequence[LogitsProcessor],
) -> list[Generation]:
    above, own, computed = prefixes.of(prompts)
    given = _left_padded(own, tokenizer, model.device)
    written = _written(model, tokenizer.eos_token_id, Rows(above), given, sampling, processors)
    return [
        _generation(tokenizer, row, len(prompt), len(prompt) if computed and not at else len(rest))
        for at, (row, prompt, rest) in enumerate(zip(written, prompts, own, strict=True))  # the first pays for all
    ]


def _written(
    model: PreTrainedModel,
    end: int,
    rows: Rows,
    given: tuple[Tensor, Tensor | None],
    sampling: Sampling,
    processors: Sequence[LogitsProcessor],
) -> list[list[int]]:
    """What the model goes on with behind each row `given` (ids, and which are real); `end` again behind its end."""
    head, states = model.get_output_embeddings(), rows.read(model, *given)
    written = given[0][:, :0]
    ended = torch.zeros(len(written), dtype=torch.bool, device=written.device)
    for step in range(sampling.max_new_tokens):
        if step:
            states = rows.read(model, written[:, -1:], None)
        scores = head(states[:, -1]).float()
        for process in processors:
            scores = process(written, scores)
        chosen = scores.argmax(-1).masked_fill(ended, end)
        written, ended = torch.cat([written, chosen[:, None]], 1), ended | (chosen == end)
        if ended.all():
            break
    return written.tolist()


def common_prefix(rows: list[list[int]]) -> list[int]:
    """What all rows start with: that of the smallest and the largest in dictionary order."""
    first, last = min(rows), max(rows)
    differs = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(map(len, rows)))
    return first[:differs]


def _left_padded(
    rows: list[list[int]], tokenizer: PreTrainedTokenizerBase, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Token ids [rows, longest], and which are no padding; None: all."""
    longest, pad_id = max(map(len, rows)), tokenizer.pad_token_id
    ids = torch.tensor([[pad_id] * (longest - len(row)) + row for row in rows], device=device)
    if min(map(len, rows)) == longest:
        return ids, None
    real = torch.tensor([[False] * (longest - len(row)) + [True] * len(row) for row in rows], device=device)
    return ids, real


def _generation(tokenizer: PreTrainedTokenizerBase, row: list[int], prompt: int, uncached: int) -> Generation:
    ids = _ended(row, tokenizer.eos_token_id)
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Generation(text, prompt, uncached, len(ids))


def _ended(row: list[int], end: int) -> list[int]:
    """The row up to its end token; all of it where there is none."""
    return row[: row.index(end) + 1] if end in row else row
