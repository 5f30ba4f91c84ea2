"""Systems under load: asked one query at a time by many clients, by the engine that the profile chooses for that."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from supertiny import engines
from supertiny.baseline.system import Traditional
from supertiny.core.ask import ChatMachine, DecodeConfig, GenerateMachine, Generation, batched, requests
from supertiny.core.config import Engines, load, load_profile, seed
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example
from supertiny.engines.systems import Places, Served, known
from supertiny.prototype.config import PrototypeConfig
from supertiny.prototype.prototype import prototype


class ServedModel:
    """One model folder, with the pool that it is asked about."""

    def __init__(self, places: Places) -> None:
        self._folder, self._pool = places.model, places.pool
        self.engine = load_profile("engines", Engines).serve

    @contextmanager
    def asked(self, examples: Sequence[Example]) -> Iterator[Callable[[int], Generation]]:
        """Each question is the compressed prompt."""
        decode, machine = load("decode", DecodeConfig), load_profile("generate", GenerateMachine)
        questions = requests(examples, self._pool, load("prompt", PromptConfig))
        with engines.chosen("serve")(self._folder, decode, machine) as ask:
            yield lambda number: ask(questions[number])


class ServedPrototype:
    """The large model, its in-context examples and what finds them."""

    def __init__(self, places: Places) -> None:
        self._places, self._cfg = places, load("prototype", PrototypeConfig)
        self.engine = load_profile("engines", Engines).chat

    @contextmanager
    def asked(self, examples: Sequence[Example]) -> Iterator[Callable[[int], Generation]]:
        """Each question is the full prompt."""
        at, cfg = self._places, self._cfg
        shows = prototype(at.encoder, at.data / "expert.jsonl", at.pool, lambda *_: [], cfg, seed())
        chats, machine = shows.chats(examples), load_profile("chat", ChatMachine)
        decode = DecodeConfig(constrained=cfg.constrained, max_new_tokens=cfg.chat.max_new_tokens)
        with engines.chosen("serve", of="chat")(at.model, decode, machine) as ask:
            yield lambda number: ask(chats[number])


class ServedEncoders:
    """All encoders of a baseline folder."""

    engine = "native"

    def __init__(self, places: Places) -> None:
        self._system = Traditional(places.model, places.pool, load("prompt", PromptConfig).history_turns)

    @contextmanager
    def asked(self, examples: Sequence[Example]) -> Iterator[Callable[[int], Generation]]:
        """Each question is a text, in batches as large as those of generated answers."""

        def answers(numbers: list[int]) -> list[Generation]:
            return [one.generation for one in self._system.answer([examples[number] for number in numbers])]

        with batched(answers, load_profile("generate", GenerateMachine).batch_size) as ask:
            yield ask


KINDS: dict[str, Callable[[Places], Served]] = {
    "model": ServedModel,
    "prototype": ServedPrototype,
    "traditional": ServedEncoders,
}


def open_served(kind: str, places: Places) -> Served:
    """The system of this kind that is made of what lies in `places`, to be load tested."""
    return KINDS[known(kind)](places)
