"""The parts of the traditional system: one classifier of domains, and for each domain its intents and an encoder.

    domain/          the classifier; its labels are the domains and the two refusals
    frame-<domain>/  the joint intent and slot model of one domain
    domains.json     for every domain trained on its intents and the folder of its encoder

One part more is trained and not kept: a model of the intents and slots of all domains, which each domain's begins as.
A domain's own examples are too few to teach an encoder slots.

The rule for small domains: one without an example of a label is not in domains.json, and its queries are refused; one
with a single label and no slot that is ever said has nothing to tell apart, so it has no encoder and its label is the
answer; every other has an encoder of its own, however few its examples (`PartConfig.min_steps`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from transformers import PreTrainedTokenizerBase

from supertiny.baseline.config import BaselineConfig, PartConfig
from supertiny.baseline.labels import Target, domain_rows, domains, frame_rows, intents, slot_tags
from supertiny.core.calls import Pool
from supertiny.core.files import read_json, write_json
from supertiny.model.encoder import Labelled

DOMAIN = "domain"
"""folder of the classifier"""
ALL = "frame"
"""folder of the model that the domains' models begin as"""
DOMAINS = "domains.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One encoder to train."""

    name: str
    """its folder"""
    labels: list[str]
    tags: list[str]
    rows: list[Labelled]
    dev_rows: list[Labelled]
    cfg: PartConfig
    start: str | None = None
    """the part that it begins as; None: the pretrained encoder"""


@dataclass(frozen=True, slots=True)
class Domain:
    """What is known of one domain."""

    intents: list[str]
    encoder: str | None
    """the folder of its intent and slot model; None: it needs none"""


def frame_folder(domain: str) -> str:
    """The folder of a domain's model: one file name, whatever the domain is called.

    >>> frame_folder("light"), frame_folder("../a b")
    ('frame-light', 'frame-..%2Fa%20b')
    """
    return f"frame-{quote(domain, safe='')}"


def by_domain(found: Sequence[Target]) -> dict[str, list[Target]]:
    """The targets that are calls, under the name of their domain."""
    names = sorted({target.domain for target in found if target.intent})
    return {name: [target for target in found if target.intent and target.domain == name] for name in names}


def known_domains(found: Sequence[Target], min_count: int) -> dict[str, Domain]:
    """Every domain trained on, by name."""
    known = {}
    for name, rows in by_domain(found).items():
        labels = intents(rows, min_count)
        needed = len(labels) > 1 or any(target.said for target in rows if target.intent in labels)
        if labels:
            known[name] = Domain(labels, frame_folder(name) if needed else None)
    return known


def parts(
    found: Sequence[Target], dev: Sequence[Target], pool: Pool, tokenizer: PreTrainedTokenizerBase, cfg: BaselineConfig
) -> Iterator[Part]:
    """The classifier and the model of all domains' calls, then the model of each domain over its own calls alone."""
    labels = domains(pool)
    yield Part(DOMAIN, labels, [], domain_rows(found, labels), domain_rows(dev, labels), cfg.domain)
    known = known_domains(found, cfg.min_count)
    all_intents, all_tags = [label for domain in known.values() for label in domain.intents], slot_tags(found)
    all_rows, all_dev_rows = (frame_rows(targets, all_intents, all_tags, tokenizer) for targets in (found, dev))
    if any(domain.encoder for domain in known.values()):
        yield Part(ALL, all_intents, all_tags, all_rows, all_dev_rows, cfg.all_domains)
    own, dev_own = by_domain(found), by_domain(dev)
    for name, domain in known.items():
        if domain.encoder:
            tags = slot_tags(own[name])
            rows, dev_rows = (
                frame_rows(targets, domain.intents, tags, tokenizer) for targets in (own[name], dev_own.get(name, []))
            )
            yield Part(domain.encoder, domain.intents, tags, rows, dev_rows, cfg.frame, start=ALL)


def write_domains(folder: Path, known: dict[str, Domain]) -> None:
    """Write domains.json of a baseline folder."""
    write_json(folder / DOMAINS, {name: asdict(domain) for name, domain in known.items()})


def read_domains(folder: Path) -> dict[str, Domain]:
    """What `write_domains` wrote."""
    return {name: Domain(**row) for name, row in read_json(folder / DOMAINS).items()}


def frame_folders(folder: Path) -> list[Path]:
    """The folders of all domains' models."""
    return [folder / domain.encoder for domain in read_domains(folder).values() if domain.encoder]
