"""Fine-tuning what finds functions: the classifier retriever, and the description model (paper 3.1, App. D)."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from transformers import PreTrainedTokenizerBase

from supertiny.core.ask import Chat
from supertiny.core.calls import Pool
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.prompt import dialogue
from supertiny.core.records import Example
from supertiny.core.stage import on_processes
from supertiny.model import checkpoint
from supertiny.model.answer import chat_ids
from supertiny.model.batches import Branch, Pack, steps
from supertiny.model.classifier import train_labeller
from supertiny.model.config import LabellingConfig
from supertiny.model.finetune import Course, finetune
from supertiny.model.generate import common_prefix
from supertiny.model.train import Job
from supertiny.retrieval.config import DescriberConfig
from supertiny.retrieval.describe import description_chat
from supertiny.retrieval.recall import needed, with_call

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


def train_describer(job: Job, lessons: Sequence[Lesson], cfg: DescriberConfig, seed: int) -> None:
    """Train the job's base to reply with the kept descriptions; write the model and its loss curve.

    There is no dev loss: kept descriptions are few, and Table 5 measures what they taught.
    """
    if not lessons:
        raise UserError(
            "Algorithm 1 kept no description, so there is nothing to train on; raise sizes.describe.queries or "
            "sizes.describe.samples of the profile, or let labelled queries join (sizes.describe.labelled)"
        )

    def course(tokenizer: PreTrainedTokenizerBase) -> Course:
        rng, machine = Random(seed), job.machine
        groups = packs(lessons, tokenizer, cfg.group_size, rng)
        return Course(steps(groups, cfg.groups_a_step, machine.max_tokens, cfg.epochs, rng, machine.processes))

    finetune(job, course, cfg.fit, cfg.frozen, seed, cfg, lessons)


def packs(lessons: Sequence[Lesson], tokenizer: PreTrainedTokenizerBase, size: int, rng: Random) -> list[Pack]:
    """The lessons in random groups of at most `size`; what the prompts of a group share is its prefix.

    Tokens are those that the engine asks with, and at least one of each prompt stays in its branch.
    """
    encode = checkpoint.encoder(tokenizer)
    end = tokenizer.eos_token_id
    order = [Branch(chat_ids(tokenizer, chat), [*encode(text), end]) for chat, text in lessons]
    rng.shuffle(order)
    return [_shared(order[start : start + size]) for start in range(0, len(order), size)]


def _shared(group: Sequence[Branch]) -> Pack:
    prefix = common_prefix([branch.prompt[:-1] for branch in group])
    return Pack(prefix, tuple(Branch(branch.prompt[len(prefix) :], branch.response) for branch in group))


def train_classifier(
    job: Job, examples: Sequence[Example], dev: Sequence[Example], cfg: LabellingConfig, seed: int
) -> None:
    """Train the job's encoder to name the function of each example's first answer.

    Refusals name no function and teach nothing here. Dev rows of functions that training never shows are left out.
    """
    on_processes(job.machine.processes)
    rows = _named(examples)
    if not rows:
        raise UserError("the training examples hold no call, so the classifier retriever has no class to learn")
    classes = sorted({name for _, name in rows})
    dev_rows = [(text, name) for text, name in _named(dev) if name in classes]
    train_labeller(job, classes, rows, dev_rows, cfg, seed)


def _named(examples: Sequence[Example]) -> list[tuple[str, str]]:
    """What the classifier reads and the function it should name, of each example that calls one."""
    return [(dialogue(example), needed(example)) for example in with_call(examples)]
