"""How many processes share a model and who starts them, checked before any of them runs."""

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PreTrainedConfig

from supertiny.core.config import load_profile, require_positive
from supertiny.core.errors import UserError
from supertiny.engines.servers.launch import ended_by_sigterm
from supertiny.model.checkpoint import load_config, recipe
from supertiny.model.train import TrainMachine

PLACES = ("python", "processes", "worker", "job", "folder", "source")
WORKER = "supertiny.engines.megatron.worker"
SOURCE = Path(__file__).resolve().parents[3]
_PLACE = re.compile(r"(?<!\$)\{(\w+)\}")
"""not ${name}, which a remote shell reads"""


def must_start_workers(launcher: str) -> None:
    """An error if `launcher` is no command line, or one that cannot run a job."""
    try:
        words = shlex.split(launcher)
    except ValueError as error:
        raise UserError(f"launcher: not a command line ({error}): {launcher}") from None
    found = {name for word in words for name in _PLACE.findall(word)}
    if unknown := found - set(PLACES):
        known = ", ".join(f"{{{name}}}" for name in PLACES)
        raise UserError(f"launcher: {{{min(unknown)}}} stands for nothing; known are {known}")
    if not found & {"worker", "job"}:
        raise UserError(f"launcher: expected {{worker}}, what torchrun is to run, in it: {launcher}")


def command(launcher: str, processes: int, job: Path, folder: Path) -> list[str]:
    """The words of the command that starts `processes` workers on `job` of the project in `folder`.

    >>> command("torchrun --nproc-per-node {processes} {worker}", 2, Path("/a b"), Path("/p"))[1:]
    ['--nproc-per-node', '2', '-m', 'supertiny.engines.megatron.worker', '/a b']
    >>> command("ssh -tt gpu1 'torchrun {worker}'", 2, Path("/a b"), Path("/p"))
    ['ssh', '-tt', 'gpu1', "torchrun -m supertiny.engines.megatron.worker '/a b'"]
    """
    places = {
        "python": ["env", f"PYTHONPATH={SOURCE}", sys.executable],
        "processes": [str(processes)],
        "worker": ["-m", WORKER, str(job)],
        "job": [str(job)],
        "folder": [str(folder)],
        "source": [str(SOURCE)],
    }
    words: list[str] = []
    for word in shlex.split(launcher):
        alone = _PLACE.fullmatch(word)
        if alone:
            words += places[alone[1]]
        else:
            words.append(_PLACE.sub(lambda place: shlex.join(places[place[1]]), word))
    return words


def start(words: list[str]) -> int:
    """Run a command until it ends, and end it when this process is told to; its exit status."""
    try:
        running = subprocess.Popen(words)
    except OSError as error:
        raise UserError(f"profile: megatron.launcher: {words[0]}: {error.strerror}") from None
    with ended_by_sigterm(), running:
        try:
            return running.wait()
        except BaseException:
            running.terminate()  # torchrun ends its workers; killed, it would leave them
            raise


FAMILIES = ("llama", "mistral", "qwen2")
"""model_type of config.json whose blocks are built and converted here"""
ROTATIONS = ("default", "linear", "llama3")
"""rope_type of positions that are rotated by fixed frequencies"""


@dataclass(kw_only=True, slots=True)
class MegatronConfig:
    """Section `megatron` of the profile."""

    tensor_parallel: int
    """processes that share each matrix: their number divides attention heads and FFN channels"""
    pipeline_parallel: int
    """stages that share the blocks: their number divides the blocks"""
    micro_batches: int
    """that a model's share of a step is cut into, at least: as many as stages, or more, keep all stages busy"""
    launcher: str
    """the command that starts the workers, see `_launch`"""

    def __post_init__(self) -> None:
        require_positive(self, "tensor_parallel", "pipeline_parallel", "micro_batches")
        must_start_workers(self.launcher)


@dataclass(frozen=True, slots=True)
class Layout:
    """Processes of one run: `data` copies of the model, each on `pipeline` stages of `tensor` processes."""

    tensor: int
    pipeline: int
    data: int

    @property
    def processes(self) -> int:
        """One a GPU."""
        return self.tensor * self.pipeline * self.data


def settings(base: Path, machine: TrainMachine) -> tuple[MegatronConfig, Layout]:
    """The profile's settings and the layout they give; a model that cannot be shared in this way is an error."""
    cfg = load_profile("megatron", MegatronConfig)
    layout = Layout(cfg.tensor_parallel, cfg.pipeline_parallel, machine.processes)
    if recipe(base) is not None:
        raise UserError(f"{base} is quantized, and engine 'megatron' trains plain weights; train its base model")
    _must_be_known(base, load_config(base))
    _must_divide(base, load_config(base), layout)
    return cfg, layout


def planned(machine: TrainMachine, cfg: MegatronConfig) -> TrainMachine:
    """The machine as a plan of micro-batches sees it: each data-parallel copy of the model wants several of a step."""
    return replace(machine, processes=machine.processes * cfg.micro_batches)


def _must_be_known(base: Path, config: PreTrainedConfig) -> None:
    """Its blocks are those of Llama, with biases of all matrices, of q, k and v, or of none."""
    if config.model_type not in FAMILIES:
        raise _foreign(base, f"its model_type is {config.model_type!r}, not one of {', '.join(FAMILIES)}")
    rope = config.rope_parameters["rope_type"]
    reasons = {
        "its activation is not silu": config.hidden_act != "silu",
        f"its rope_type is {rope!r}, not one of {', '.join(ROTATIONS)}": rope not in ROTATIONS,
        "it attends to a sliding window": getattr(config, "sliding_window", None) is not None,
        "its attention has dropout": config.attention_dropout > 0,
        "it has biases in attention or FFN alone": getattr(config, "attention_bias", False)
        != getattr(config, "mlp_bias", False),
    }
    for reason, found in reasons.items():
        if found:
            raise _foreign(base, reason)


def _foreign(base: Path, reason: str) -> UserError:
    return UserError(f"{base}: engine 'megatron' cannot train it, for {reason}; use engine 'native'")


def _must_divide(base: Path, config: PreTrainedConfig, layout: Layout) -> None:
    shared = [
        ("tensor_parallel", "attention heads", config.num_attention_heads, layout.tensor),
        ("tensor_parallel", "FFN channels", config.intermediate_size, layout.tensor),
        ("pipeline_parallel", "blocks", config.num_hidden_layers, layout.pipeline),
    ]
    for name, what, count, among in shared:
        if count % among:
            raise UserError(f"profile: megatron.{name}: {base} has {count} {what}, no multiple of {among}")
    key_heads = config.num_key_value_heads
    if key_heads % layout.tensor and layout.tensor % key_heads:
        raise UserError(
            f"profile: megatron.tensor_parallel: {base} has {key_heads} key heads, no multiple or divisor of "
            f"{layout.tensor}"
        )
