"""The traditional system at work: domain, then intent and slots within it, then a frame, then a call."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from supertiny.baseline.frames import REFUSALS, Frame, from_frame, slot
from supertiny.baseline.labels import OUTSIDE, Span, name_of, read, token_spans, value_of
from supertiny.baseline.parts import DOMAIN, read_domains
from supertiny.core.ask import Generation
from supertiny.core.calls import Answer, Call, Function, Malformed, Pool, Refusal, answer_from_json
from supertiny.core.prompt import is_lone
from supertiny.core.records import Example
from supertiny.model.encoder import HeadedEncoder, load_headed

Scores = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer and what it took."""

    frame: Frame
    reply: Answer | Malformed
    num_tokens: int
    """tokens of the text, special ones included"""
    passes: int
    """encoders that read it: 1 where the classifier refused or the domain needs no encoder, else 2"""

    @property
    def generation(self) -> Generation:
        """The frame as JSON, and the tokens that were read: an encoder caches none and writes none."""
        text = json.dumps(asdict(self.frame), ensure_ascii=False, separators=(",", ":"))
        return Generation(text, self.num_tokens, self.num_tokens, 0)


@dataclass(frozen=True, slots=True)
class _Intent:
    """One label of an intent head: its function, and the slots nobody says."""

    function: Function
    slots: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Domain:
    """One domain's intents, in the order of the head's labels, and its encoder if it needs one."""

    name: str
    intents: list[_Intent]
    encoder: HeadedEncoder | None


class Traditional:
    """All encoders of a baseline folder, for one pool of functions."""

    def __init__(self, folder: Path, pool: Pool, history_turns: int) -> None:
        self._pool, self._history_turns = pool, history_turns
        self._classifier = load_headed(folder / DOMAIN)
        self._domains = {
            name: _Domain(
                name,
                [_intent(label, pool) for label in known.intents],
                load_headed(folder / known.encoder) if known.encoder else None,
            )
            for name, known in read_domains(folder).items()
        }

    def answer(self, examples: Sequence[Example], progress: str | None = None) -> list[Answered]:
        """The answer to each example, in the order given; each domain's encoder reads its texts together."""
        texts = [read(example, self._pool, self._history_turns).text for example in examples]
        chosen = [self._classifier.labels[int(s["label"].argmax())] for s in self._classifier.scores(texts, progress)]
        scores = self._frame_scores(texts, chosen)
        found = []
        for at, (example, text, name) in enumerate(zip(examples, texts, chosen, strict=True)):
            spans = token_spans(text, self._classifier.tokenizer)
            if name in self._domains:
                frame = self._available(_read_frame(text, self._domains[name], scores.get(at), spans), example)
            else:
                frame = REFUSALS[Refusal(name) if name in list(Refusal) else Refusal.NO_FUNCTION]
            found.append(Answered(frame, from_frame(frame, self._pool), len(spans), 1 + (at in scores)))
        return found

    def _frame_scores(self, texts: Sequence[str], chosen: Sequence[str]) -> dict[int, Scores]:
        """The scores of each text that an encoder of its domain reads, by the text's place."""
        found: dict[int, Scores] = {}
        for name, domain in self._domains.items():
            places = [at for at, one in enumerate(chosen) if one == name]
            if domain.encoder and places:
                found |= zip(places, domain.encoder.scores([texts[at] for at in places]), strict=True)
        return found

    def _available(self, frame: Frame, example: Example) -> Frame:
        """A function that is not offered is not installed here: the assistant says so."""
        return frame if frame.intent in example.candidates else REFUSALS[Refusal.NO_FUNCTION]


def _intent(label: str, pool: Pool) -> _Intent:
    call = answer_from_json(json.loads(label), pool)
    assert isinstance(call, Call) or (isinstance(call, Malformed) and call.call is not None)
    held = call if isinstance(call, Call) else call.call
    function = pool[name_of(label)]
    slots = {n: slot(v, function.parameters[n]) for n, v in held.arguments.items()} if held else {}
    return _Intent(function, slots)


def _read_frame(text: str, domain: _Domain, scores: Scores | None, spans: list[Span]) -> Frame:
    """The best intent of the domain, and the best tags among the slots it leaves open."""
    intent = domain.intents[int(scores["label"].argmax()) if scores else 0]
    slots = dict(intent.slots)
    if scores and domain.encoder and "tag" in scores:
        parameters = intent.function.parameters
        open_slots = [name for name in parameters if name not in slots]
        for name, ranked in best_spans(scores["tag"], domain.encoder.tags, open_slots, spans).items():
            texts = [whole_words(text, span) for span in ranked]
            said = sorted(texts, key=text.find) if parameters[name].type == "array" else texts
            value = value_of(said, parameters[name])
            if value is not None:
                slots[name] = value
    return Frame(domain.name, intent.function.name, slots)


def best_spans(
    tag_TC: Tensor, tags: Sequence[str], slots: Sequence[str], spans: Sequence[Span]
) -> dict[str, list[Span]]:
    """For each slot found its spans of characters, the surest first, by the mean log-probability of their tags.

    A token takes the best tag among O and those of `slots`; an I after any other slot begins a span of its own.
    """
    allowed = [at for at, tag in enumerate(tags) if tag == OUTSIDE or tag.partition("-")[2] in slots]
    best = tag_TC[:, allowed].max(-1)
    runs: list[tuple[str, list[int]]] = []
    previous = ""
    for token, choice in enumerate(best.indices.tolist()):
        kind, _, name = tags[allowed[choice]].partition("-")
        if spans[token][0] == spans[token][1]:
            continue  # a special token, or one of a byte that is no whole character
        if name and kind == "I" and name == previous:
            runs[-1][1].append(token)
        elif name:
            runs.append((name, [token]))
        previous = name
    sure = {index: float(best.values[tokens].mean()) for index, (_, tokens) in enumerate(runs)}
    found: dict[str, list[Span]] = {}
    for index in sorted(sure, key=lambda one: (-sure[one], one)):
        name, tokens = runs[index]
        found.setdefault(name, []).append((spans[tokens[0]][0], spans[tokens[-1]][1]))
    return found


def whole_words(text: str, span: Span) -> str:
    """The characters of `span` with the rest of the words it begins and ends in.

    >>> whole_words("the thermostat, please", (4, 9))
    'thermostat'
    """
    start, end = span
    while start > 0 and _in_word(text[start - 1]) and _in_word(text[start]):
        start -= 1
    while end < len(text) and _in_word(text[end]) and _in_word(text[end - 1]):
        end += 1
    return text[start:end].strip()


def _in_word(char: str) -> bool:
    """Whether the letters beside it belong to its word."""
    return char.isalnum() and not is_lone(char)
