"""Fine-tuning the description model on kept descriptions (paper App. D, Algorithm 1)."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from transformers import PreTrainedTokenizerBase

from supertiny.core.ask import Chat
from supertiny.core.calls import Pool
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.records import Example
from supertiny.model import checkpoint
from supertiny.model.answer import chat_text
from supertiny.model.batches import Branch, Pack, steps
from supertiny.model.finetune import Plan, tune
from supertiny.model.generate import common_prefix
from supertiny.model.train import TrainMachine
from supertiny.retrieval.describe import DescriberConfig, description_chat

Lesson = tuple[Chat, str]
"""what the model is asked, and the description it shall reply"""


def read_lessons(path: Path, queries: Sequence[Example], shown: Sequence[Example], pool: Pool) -> list[Lesson]:
    """Each line of {"id", "description"} as the conversation about its query, and the reply."""
    by_id = {query.id: query for query in queries}
    lessons = []
    for number, row in read_jsonl(path):
        match row:
            case {"id": str(name), "description": str(text)} if name in by_id and text:
                lessons.append((description_chat(by_id[name], shown, pool), text))
            case _:
                raise UserError(f"{path}, line {number}: no description of a query of the pool; run stage reject again")
    return lessons


def train_describer(
    base: Path,
    lessons: Sequence[Lesson],
    out: Path,
    log: Path,
    cfg: DescriberConfig,
    machine: TrainMachine,
    seed: int,
) -> None:
    """Train `base` to reply with the kept descriptions; write the model to `out`, the loss curve to `log`.

    There is no dev loss: kept descriptions are few, and Table 5 measures what they taught.
    """
    if not lessons:
        raise UserError(
            "Algorithm 1 kept no description, so there is nothing to train on; raise describe.queries or "
            "describe.samples of the profile, or let labelled queries join (describe.labelled)"
        )

    def plan(tokenizer: PreTrainedTokenizerBase) -> Plan:
        rng = Random(seed)
        groups = packs(lessons, tokenizer, cfg.group_size, rng)
        return Plan(steps(groups, cfg.groups_a_step, machine.max_tokens, cfg.epochs, rng, machine.processes))

    tune("describer", base, plan, out, log, cfg.fit, cfg.frozen, machine, seed, cfg, lessons)


def packs(lessons: Sequence[Lesson], tokenizer: PreTrainedTokenizerBase, size: int, rng: Random) -> list[Pack]:
    """The lessons in random groups of at most `size`; what the prompts of a group share is its prefix.

    Tokens are those that the engine asks with, and at least one of each prompt stays in its branch.
    """
    encode = checkpoint.encoder(tokenizer)
    end = tokenizer.eos_token_id
    order = [Branch(encode(chat_text(tokenizer, chat)), [*encode(text), end]) for chat, text in lessons]
    rng.shuffle(order)
    return [_shared(order[start : start + size]) for start in range(0, len(order), size)]


def _shared(group: Sequence[Branch]) -> Pack:
    prefix = common_prefix([branch.prompt[:-1] for branch in group])
    return Pack(prefix, tuple(Branch(branch.prompt[len(prefix) :], branch.response) for branch in group))
