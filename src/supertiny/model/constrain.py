"""Decoding that can only write a valid answer: a call that fits its candidate's schema, or a refusal."""

import json
from collections.abc import Sequence

import xgrammar
from transformers import PreTrainedTokenizerBase
from xgrammar.contrib.hf import LogitsProcessor

from supertiny.core.calls import Function, Refusal
from supertiny.model.ask import Chat, Request
from supertiny.prompt.schema import call_schema
from supertiny.prompt.thought import TAGS


class Constraint:
    """Compiles the grammars of requests for one tokenizer; equal grammars are compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int, thinks: bool = False) -> None:
        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocab_size, stop_token_ids=tokenizer.eos_token_id
        )
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=2)
        self._thinks = thinks

    def processor(self, requests: Sequence[Request | Chat]) -> LogitsProcessor:
        """For one `generate` call over these rows."""
        grammars = [_grammar(request, self._thinks) for request in requests]
        return LogitsProcessor([self._compiler.compile_grammar(one) for one in grammars])


def _grammar(request: Request | Chat, thinks: bool) -> xgrammar.Grammar:
    """A call or a refusal for a request; for a chat what its schema says, compact; anything where it has none."""
    if isinstance(request, Request):
        space = xgrammar.Grammar.from_ebnf('root ::= " "')
        answer = _answer(request.candidates)
        return xgrammar.Grammar.concat(space, *(_thought(answer) if thinks else [answer]))
    return _compact(request.schema) if request.schema else xgrammar.Grammar.from_ebnf("root ::= [^\\0]*")


def _answer(functions: Sequence[Function]) -> xgrammar.Grammar:
    """A call in compact JSON or a refusal's words."""
    words = " | ".join(json.dumps(refusal.value) for refusal in Refusal)
    answers = [xgrammar.Grammar.from_ebnf(f"root ::= {words}")]
    if functions:
        answers.append(_compact(json.dumps(call_schema(functions))))
    return xgrammar.Grammar.union(*answers)


def _thought(answer: xgrammar.Grammar) -> list[xgrammar.Grammar]:
    """The answer between its tags, behind a thought that holds no tag."""
    before, between, after = json.dumps(TAGS[0]), json.dumps(TAGS[1] + TAGS[2]), json.dumps(TAGS[3])
    thought = xgrammar.Grammar.from_ebnf(f"root ::= {before} [^<]+ {between}")
    return [thought, answer, xgrammar.Grammar.from_ebnf(f"root ::= {after}")]


def _compact(schema: str) -> xgrammar.Grammar:
    return xgrammar.Grammar.from_json_schema(schema, any_whitespace=False, separators=(",", ":"))
