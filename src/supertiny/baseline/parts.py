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

from supertiny.baseline.labels import Target, domain_rows, domains, frame_rows, intents, slot_tags
from supertiny.core.calls import Pool
from supertiny.core.config import require, require_positive
from supertiny.core.files import read_json, write_json
from supertiny.model.encoder import Labelled
from supertiny.model.train import FitConfig


@dataclass(kw_only=True, slots=True)
class PartConfig:
    """How one of its encoders is trained."""

    epochs: int
    """passes over its training examples"""
    min_steps: int
    """optimizer steps at least, by more passes where examples are few"""
    texts_a_step: int
    """examples of one optimizer step"""
    fit: FitConfig

    def __post_init__(self) -> None:
        require_positive(self, "epochs", "min_steps", "texts_a_step")

    def epochs_of(self, num_rows: int) -> int:
        """Passes over `num_rows` examples, one at least.

        >>> fit = FitConfig(learning_rate=1.0, warmup_share=0.0, schedule="linear", weight_decay=0.0, max_grad_norm=1.0)
        >>> cfg = PartConfig(epochs=8, min_steps=100, texts_a_step=16, fit=fit)
        >>> cfg.epochs_of(400), cfg.epochs_of(34)  # 25 steps a pass, and 3
        (8, 34)
        """
        steps_an_epoch = -(-num_rows // self.texts_a_step)
        return max(self.epochs, -(-self.min_steps // steps_an_epoch))


@dataclass(kw_only=True, slots=True)
class BaselineConfig:
    """Section `baseline` of params.yaml."""

    min_count: int
    """training examples that must share an intent with values nobody says, for it to be a label of its own"""
    domain: PartConfig
    """the domain classifier (DC)"""
    all_domains: PartConfig
    """the joint intent and slot model of all domains, which each domain's begins as"""
    frame: PartConfig
    """the joint intent and slot model of each domain (ICSF)"""

    def __post_init__(self) -> None:
        require_positive(self, "min_count")


@dataclass(kw_only=True, slots=True)
class BaselineSizes:
    """Section `baseline` of the profile."""

    examples: int
    """training examples; 0: all there are"""
    dev_examples: int
    """dev examples whose loss is logged after every epoch; 0: all there are"""
    batch_size: int
    """queries answered at once; lower it when memory runs out"""

    def __post_init__(self) -> None:
        require_positive(self, "batch_size")
        for name in ("examples", "dev_examples"):
            require(getattr(self, name) >= 0, f"{name}: expected 0 or more, got {getattr(self, name)}")


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
