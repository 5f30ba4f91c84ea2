"""How many processes share a model and who starts them, checked before any of them runs."""

import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PreTrainedConfig

from supertiny.core.config import load_profile
from supertiny.core.errors import UserError
from supertiny.engines.megatron.config import _PLACE, MegatronConfig
from supertiny.engines.servers.launch import ended_by_sigterm
from supertiny.model.checkpoint import load_config, recipe
from supertiny.model.config import TrainMachine

WORKER = "supertiny.engines.megatron.worker"
SOURCE = Path(__file__).resolve().parents[3]


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
