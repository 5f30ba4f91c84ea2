"""Decoding that can only write a valid answer: a call that fits its candidate's schema, or a refusal."""

import json

import xgrammar
from transformers import PreTrainedTokenizerBase
from xgrammar.contrib.hf import LogitsProcessor

from supertiny.core.calls import Function, Refusal
from supertiny.prompt.schema import call_schema


class Constraint:
    """Compiles the grammars of candidate lists for one tokenizer; equal lists are compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> None:
        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocab_size, stop_token_ids=tokenizer.eos_token_id
        )
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=2)

    def processor(self, candidates: list[list[Function]]) -> LogitsProcessor:
        """For one `generate` call over rows with these candidates."""
        return LogitsProcessor([self._compiler.compile_grammar(self._grammar(row)) for row in candidates])

    def _grammar(self, functions: list[Function]) -> xgrammar.Grammar:
        """A space, then a call in compact JSON or a refusal's words."""
        words = " | ".join(json.dumps(refusal.value) for refusal in Refusal)
        answers = [xgrammar.Grammar.from_ebnf(f"root ::= {words}")]
        if functions:
            schema = json.dumps(call_schema(functions))
            answers.append(xgrammar.Grammar.from_json_schema(schema, any_whitespace=False, separators=(",", ":")))
        return xgrammar.Grammar.concat(xgrammar.Grammar.from_ebnf('root ::= " "'), xgrammar.Grammar.union(*answers))
