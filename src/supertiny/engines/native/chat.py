"""Chats answered in this process, by a model of this machine."""

from collections.abc import Callable, Sequence
from pathlib import Path

from supertiny.core.files import digest
from supertiny.model.ask import Chat, ChatConfig, ChatMachine, Generation
from supertiny.model.generate import Sampling
from supertiny.model.loaded import Loaded
from supertiny.model.replies import Replies, identity


def chat(model: Path, machine: ChatMachine) -> Callable[[Sequence[Chat], ChatConfig, str], list[Generation]]:
    """Give `ask(chats, cfg, progress)`: a reply to each chat; one that was ever given is never asked for again."""
    loaded: list[Loaded] = []

    def answer(chats: Sequence[Chat], cfg: ChatConfig) -> list[Generation]:
        if not loaded:
            loaded.append(Loaded(model, machine.precision))
        seeds = [int(digest(one)[:8], 16) for one in chats]
        sampling = Sampling(cfg.max_new_tokens, cfg.temperature, seeds)
        return loaded[0].answer(chats, sampling, machine.batch_size, constrained=any(one.schema for one in chats))

    return Replies(identity(model, machine), answer, machine.shard).ask
