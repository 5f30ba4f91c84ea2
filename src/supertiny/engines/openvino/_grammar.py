"""Grammars as text for the xgrammar inside OpenVINO GenAI, which is older than the one that made them."""

import re

import xgrammar

PART = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\{(\d+), -1\}')
"""a literal, a class of characters, or `at least n times`"""


def ebnf(grammar: xgrammar.Grammar) -> str:
    """The rules of `grammar`; {n, -1} becomes {n,}, which every version reads.

    What it admits is the same but for one thing: the older library lets bytes pass that are no UTF-8.
    """
    return PART.sub(lambda part: part[0] if part[1] is None else f"{{{part[1]},}}", str(grammar))
