"""The requests a model is measured on, and what answering them took."""

from collections.abc import Sequence

from supertiny.core.calls import Pool
from supertiny.core.records import Example
from supertiny.model.ask import Generation, Request
from supertiny.prompt.compressed import PromptConfig, render


def requests(examples: Sequence[Example], pool: Pool, cfg: PromptConfig) -> list[Request]:
    """Each example as the small model is asked it."""
    return [Request(render(e, pool, cfg), tuple(pool[name] for name in e.candidates)) for e in examples]


def token_means(generations: Sequence[Generation]) -> dict[str, float]:
    """Mean tokens a request: s_t, s_u and n_out of the cost formula (algorithms section 12)."""
    n = len(generations)
    return {
        "prompt_tokens": round(sum(g.prompt_tokens for g in generations) / n, 2),
        "uncached_tokens": round(sum(g.uncached_tokens for g in generations) / n, 2),
        "new_tokens": round(sum(g.new_tokens for g in generations) / n, 2),
    }
