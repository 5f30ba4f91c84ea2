"""Decoding that can only write a valid answer: a call that fits its candidate's schema, or a refusal."""

import json
from collections.abc import Sequence

import xgrammar
from transformers import PreTrainedTokenizerBase
from xgrammar.contrib.hf import LogitsProcessor

from supertiny.core.calls import Function, Refusal
from supertiny.model.ask import Chat, Request
from supertiny.prompt.schema import call_schema


class Constraint:
    """Compiles the grammars of requests for one tokenizer; equal grammars are compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> None:
        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocab_size, stop_token_ids=tokenizer.eos_token_id
        )
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=2)

    def processor(self, requests: Sequence[Request | Chat]) -> LogitsProcessor:
        """For one `generate` call over these rows."""
        return LogitsProcessor([self._compiler.compile_grammar(_grammar(request)) for request in requests])


def _grammar(request: Request | Chat) -> xgrammar.Grammar:
    """A call or a refusal for a request; for a chat what its schema says, compact; anything where it has none."""
    if isinstance(request, Request):
        return _answer(request.candidates)
    return _compact(request.schema) if request.schema else xgrammar.Grammar.from_ebnf("root ::= [^\\0]*")


def _answer(functions: Sequence[Function]) -> xgrammar.Grammar:
    """A space, then a call in compact JSON or a refusal's words."""
    words = " | ".join(json.dumps(refusal.value) for refusal in Refusal)
    answers = [xgrammar.Grammar.from_ebnf(f"root ::= {words}")]
    if functions:
        answers.append(_compact(json.dumps(call_schema(functions))))
    return xgrammar.Grammar.concat(xgrammar.Grammar.from_ebnf('root ::= " "'), xgrammar.Grammar.union(*answers))


def _compact(schema: str) -> xgrammar.Grammar:
    return xgrammar.Grammar.from_json_schema(schema, any_whitespace=False, separators=(",", ":"))
