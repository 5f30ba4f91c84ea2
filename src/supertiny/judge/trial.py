"""The expert-judged set as judges meet it: examples, replies to them, and the planted ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from supertiny.core.calls import Pool, parse_reply
from supertiny.core.errors import UserError
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.judge.judged import Injected, Judged, read_injected, read_judged
from supertiny.judge.kinds import Reply


@dataclass(frozen=True, slots=True)
class Trial:
    """What judges are measured on."""

    examples: Mapping[str, Example]
    verdicts: Sequence[Judged]
    injections: Sequence[Injected]
    pool: Pool

    def reply(self, row: Judged) -> Reply:
        """The row's reply as the strict reader takes it among the candidates of its example."""
        return parse_reply(row.reply, {name: self.pool[name] for name in self.examples[row.example].candidates})

    def halves(self, seed: int) -> tuple["Trial", "Trial"]:
        """One half to train a judge on, one to measure it; each example, with all of its replies, is in one only."""
        names = sorted({row.example for row in self.verdicts})
        if len(names) < 2:
            raise UserError(
                f"judged replies to {len(names)} examples; 2 are needed, to train on one and measure on one"
            )
        order = np.random.default_rng(seed).permutation(len(names))
        first = {names[at] for at in order[: len(names) // 2]}
        return self._among(first), self._among(set(names) - first)

    def first(self, count: int) -> "Trial":
        """All replies to the first `count` examples; 0: to every one."""
        names = list(dict.fromkeys(row.example for row in self.verdicts))
        return self._among(set(names[: count or None]))

    def _among(self, names: set[str]) -> "Trial":
        verdicts = [row for row in self.verdicts if row.example in names]
        return Trial(self.examples, verdicts, [row for row in self.injections if row.example in names], self.pool)


def read_trial(functions: Path, examples: Path, verdicts: Path, injections: Path) -> Trial:
    """The trial in the files of the dataset stage."""
    pool = read_functions(functions)
    known = {example.id: example for example in read_examples(examples, pool) if example.answers}
    return Trial(known, read_judged(verdicts, known), read_injected(injections, known), pool)
