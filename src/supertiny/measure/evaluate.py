"""AR of one system on the in-domain and the out-of-domain test, how sure it is, and the workload it was measured on.

Queries that were made alike are answered right or wrong together, so whole clusters of them are resampled. The cluster
of a query is its template: the test was split by templates, and queries of one differ in values alone. That of a query
for a function never trained on is the function: all its templates stand on one document, which a model can use or not,
and what is asked is how it would fare with other new functions. So 99 unseen queries tell what 20 functions tell.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from supertiny.core.ask import Generation
from supertiny.core.calls import Answer, Call, Malformed, Pool, Refusal, answer_json
from supertiny.core.config import require
from supertiny.core.errors import UserError
from supertiny.core.records import MISSING, SEEN, UNSEEN, Example, read_examples
from supertiny.core.stats import rated, share
from supertiny.data.dataset import NEW
from supertiny.judge.reference import Failure, Verdict, has_right_head, judge

Reply = Answer | Malformed


def cluster(example: Example) -> str:
    """What a query is resampled with: its template, or a function never trained on; without either it stands alone.

    >>> said = Example(id="1", query="Vacuum  here", answers=(Call("vacuum", {}),))
    >>> cluster(said), cluster(replace(said, template="vacuum {where}")), cluster(replace(said, tags=("unseen",)))
    ('vacuum here', 'vacuum {where}', 'function vacuum')
    """
    if UNSEEN in example.tags and example.answers and isinstance(example.answers[0], Call):
        return f"function {example.answers[0].name}"
    return example.skeleton


def clusters(examples: Sequence[Example]) -> dict[str, str]:
    """The cluster of each query, by its id."""
    return {example.id: cluster(example) for example in examples}


def achievable_rate(
    examples: Sequence[Example],
    replies: Sequence[Reply],
    verdicts: Sequence[Verdict],
    seed: int,
) -> dict[str, Any]:
    """AR = mean over (x, y) of the judge's verdict, its 95 % interval, and where it fails; shares are of n.

    `ar` and the failures' shares add up to 1; its interval is over the `clusters` of the queries.
    `function_accuracy` counts replies with an accepted function or refusal, whatever their arguments. `by_function`
    groups by the reference answer. Without examples every rate is None.
    """
    correct = [verdict.correct for verdict in verdicts]
    return {
        **rated(list(map(cluster, examples)), correct, seed),
        "exact_match": share([verdict.exact for verdict in verdicts]),
        "function_accuracy": share([has_right_head(*pair) for pair in zip(examples, replies, strict=True)]),
        "failures": {kind.value: share([verdict.failure == kind for verdict in verdicts]) for kind in Failure},
        "by_function": _split(([_function(example.answers[0])] for example in examples), correct),
        "by_tag": _split((sorted(set(example.tags)) for example in examples), correct),
    }


def _split(labels: Iterable[Iterable[str]], correct: list[bool]) -> dict[str, dict[str, Any]]:
    """n and AR of every label, sorted; an example counts under each of its labels."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for names, right in zip(labels, correct, strict=True):
        for name in names:
            groups[name].append(right)
    return {name: {"n": len(group), "ar": share(group)} for name, group in sorted(groups.items())}


def _function(answer: Answer) -> str:
    return answer.value if isinstance(answer, Refusal) else answer.name


def token_means(generations: Sequence[Generation]) -> dict[str, float]:
    """Mean tokens a request: s_t, s_u and n_out of the cost formula."""
    n = len(generations)
    return {
        "prompt_tokens": round(sum(g.prompt_tokens for g in generations) / n, 2),
        "uncached_tokens": round(sum(g.uncached_tokens for g in generations) / n, 2),
        "new_tokens": round(sum(g.new_tokens for g in generations) / n, 2),
    }


@dataclass(kw_only=True, slots=True)
class SplitSizes:
    """The first rows of each test; 0 is all."""

    test: int
    ood: int

    def __post_init__(self) -> None:
        for name in ("test", "ood"):
            require(getattr(self, name) >= 0, f"{name}: expected 0 or more, got {getattr(self, name)}")


@dataclass(kw_only=True, slots=True)
class EvaluateSizes:
    """Section `sizes.evaluate` of the profile: how many queries are asked."""

    models: SplitSizes
    policies: SplitSizes
    """which think first, so that a reply is more than twice as long"""
    compressed: SplitSizes
    """pruned and quantized models, compared with their base on the queries of both"""
    prototype: SplitSizes
    """whose prompts are long"""


def read_splits(test: Path, ood: Path, pool: Pool, sizes: SplitSizes) -> dict[str, list[Example]]:
    """The first rows of both tests, and those of `test` that need a note from the knowledge base, without it."""
    rows = read_examples(test, pool)[: sizes.test or None]
    unseen = read_examples(ood, pool)[: sizes.ood or None]
    return {"test": rows, "ood": unseen, "without_knowledge": bare(rows), "grown": grown(rows, unseen)}


def bare(test: Sequence[Example]) -> list[Example]:
    """The queries that need a note, as they are asked without it."""
    return [replace(row, id=f"{row.id}-bare", knowledge=()) for row in test if "knowledge" in row.tags]


def grown(test: Sequence[Example], ood: Sequence[Example]) -> list[Example]:
    """The first rows of `test`, as many as `ood` has, offered all that `ood` is, where that is their list and more.

    A pool that grows must not break what worked. Without those who refuse what their own list lacks, for that has it.
    """
    most = max((row.candidates for row in ood), key=len, default=())
    return [
        replace(row, id=f"{row.id}-grown", candidates=most)
        for row in test[: len(ood)]
        if set(row.candidates) < set(most) and MISSING not in row.tags
    ]


def labelled(splits: Mapping[str, Sequence[Example]]) -> list[Example]:
    """The examples of all splits in order; one without an answer is an error that names it."""
    examples = [example for split in splits.values() for example in split]
    for example in examples:
        if not example.answers:
            raise UserError(f"example {example.id!r}: field 'answers': is empty, so no reply to it can be judged")
    return examples


@dataclass(frozen=True, slots=True)
class Replied:
    """One answer of a system, and what it took."""

    reply: Reply
    generation: Generation
    encoder_passes: int = 0
    """encoders that read the query, where nothing is generated"""


def rate(
    splits: Mapping[str, Sequence[Example]], answers: Sequence[Replied], seed: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The rates of each split (those of `NEW` also for seen and unseen functions apart), and a row an answer.

    `answers` are any system's to `labelled(splits)`; every system is judged here. The workload is of the first split.
    """
    examples = labelled(splits)
    reply_to = {e.id: answer.reply for e, answer in zip(examples, answers, strict=True)}
    verdicts = {e.id: judge(e, reply_to[e.id]) for e in examples}

    def over(rows: Sequence[Example]) -> dict[str, Any]:
        return achievable_rate(rows, [reply_to[row.id] for row in rows], [verdicts[row.id] for row in rows], seed)

    rates = {name: over(rows) for name, rows in splits.items()}
    for name in NEW:
        for tag in (SEEN, UNSEEN) if name in splits else ():
            rates[f"{name}_{tag}"] = over([row for row in splits[name] if tag in row.tags])
    rates["workload"] = _workload(answers[: len(next(iter(splits.values())))])
    return rates, [_row(e, a.generation, a.reply, verdicts[e.id]) for e, a in zip(examples, answers, strict=True)]


def _workload(answers: Sequence[Replied]) -> dict[str, float]:
    """Mean tokens of a query; and mean encoders that read it, where any does."""
    passes = [one.encoder_passes for one in answers]
    means = token_means([one.generation for one in answers])
    return means | ({"encoder_passes": round(sum(passes) / len(passes), 3)} if any(passes) else {})


def _row(example: Example, generation: Generation, reply: Reply, verdict: Verdict) -> dict[str, Any]:
    return {
        "id": example.id,
        "query": example.query,
        "written": generation.text.strip(),
        "fault": f"{reply.fault}: {reply.detail}" if isinstance(reply, Malformed) else None,
        "correct": verdict.correct,
        "failure": verdict.failure,
        "reference": answer_json(example.answers[0]),
    }
