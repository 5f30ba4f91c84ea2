"""Weights from a Hugging Face folder into the processes' parts of a model, and back."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from megatron.core.models.gpt import GPTModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch import distributed as dist
from torch.nn import Parameter
from transformers import PreTrainedConfig, PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.engines.megatron.worker.model import HEAD, Source, blocks_of, sources
from supertiny.engines.megatron.worker.parallel import Place


class Folder(Mapping[str, Tensor]):
    """The tensors of a checkpoint folder, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as tensors:
                self._files |= dict.fromkeys(tensors.keys(), file)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._files:
            raise UserError(f"{self.folder} has no tensor {name!r} in safetensors; make the model again")
        with safe_open(self._files[name], "pt") as tensors:
            found: Tensor = tensors.get_tensor(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def fill(model: GPTModel, config: PreTrainedConfig, tensors: Mapping[str, Tensor], place: Place) -> None:
    """Set every parameter of this part of `model` from a checkpoint; where there are fp32 masters, them too."""
    parts = dist.get_world_size(place.tensor_group)
    for parameter, source in _parameters(model, config).values():
        whole = [tensors[name] for name in source.names]
        value = source.sharing.split(whole, parts)[place.tensor_rank]
        for one in (parameter, master(parameter)):
            one.data.copy_(value)


def master(parameter: Parameter) -> Tensor:
    """What the optimizer steps: an fp32 copy of a bfloat16 parameter, else itself."""
    return getattr(parameter, "main_param", parameter)


def export(model: GPTModel, config: PreTrainedConfig, place: Place, file: Path) -> None:
    """Write what this stage has trained to `file`, under the names of the checkpoint; of all copies the first does."""
    if place.copy:
        return
    found: dict[str, Tensor] = {}
    for name, (parameter, source) in _parameters(model, config).items():
        shared_head = name == HEAD and config.tie_word_embeddings  # the first stage has it as its embeddings
        if parameter.requires_grad and not shared_head:
            shards = _gathered(master(parameter).detach(), place)
            found |= zip(source.names, source.sharing.join(shards), strict=True)
    if place.tensor_rank == 0:
        save_file({name: tensor.contiguous().cpu() for name, tensor in found.items()}, file)


def adopt(model: PreTrainedModel, file: Path) -> None:
    """Set those parameters of a Hugging Face model that a stage has exported."""
    unknown = model.load_state_dict(load_file(file), strict=False).unexpected_keys
    assert not unknown, f"{file} has what the model has not: {unknown}"


def _parameters(model: GPTModel, config: PreTrainedConfig) -> dict[str, tuple[Parameter, Source]]:
    """Every parameter of this part, with its source."""
    known = sources(config, *blocks_of(model))
    return {name: (parameter, known[name]) for name, parameter in model.named_parameters()}


def _gathered(shard: Tensor, place: Place) -> list[Tensor]:
    """That of every process that shares the matrix, in their order."""
    shards = [torch.empty_like(shard) for _ in range(dist.get_world_size(place.tensor_group))]
    dist.all_gather(shards, shard.contiguous(), group=place.tensor_group)
    return shards
