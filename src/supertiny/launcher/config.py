"""Where programs of other environments are, and how they start: sections `launch` and `servers` of a profile."""

import shlex
from dataclasses import dataclass
from string import Formatter

from supertiny.core.config import require, require_positive
from supertiny.core.errors import UserError

HERE = "{command}"
"""the template that starts a program on this machine"""
PLACES = {"command", "folder", "gpus"}
"""what a template may ask for"""


@dataclass(kw_only=True, slots=True)
class LaunchConfig:
    """Section `launch` of the profile."""

    template: str
    """how a program is started; {command}: its command line, {folder}: this project's, {gpus}: how many it wants"""
    programs: dict[str, str]
    """engine -> folder of its environment's programs, from the project's folder or absolute"""

    def __post_init__(self) -> None:
        try:
            asked = {name for token in shlex.split(self.template) for _, name, _, _ in Formatter().parse(token) if name}
        except ValueError as error:
            raise UserError(f"template: {self.template!r} cannot be read as a command line: {error}") from None
        require("command" in asked, f"template: expected {{command}} in it, got {self.template!r}")
        unknown = ", ".join(sorted(asked - PLACES))
        require(not unknown, f"template: there is no {{{unknown}}} (there are: {', '.join(sorted(PLACES))})")

    @property
    def here(self) -> bool:
        """Whether programs run on this machine."""
        return self.template.strip() == HERE


@dataclass(kw_only=True, slots=True)
class ServerConfig:
    """One entry of section `servers` of the profile: a server of engine sglang, vllm or trtllm."""

    url: str | None
    """base URL, ending in /v1, of a server that is there already; null: the stage starts one and stops it"""
    key_variable: str | None
    """environment variable with the API key that the server at `url` wants"""
    tensor_parallel: int
    """GPUs that hold one copy of the model"""
    data_parallel: int
    """copies"""
    context: int
    """tokens of a prompt and its reply"""
    memory_share: float
    """of a GPU's memory, for weights and keys and values (trtllm: of what the weights leave, for keys and values)"""
    host: str
    """where clients find it"""
    port: int
    """0: any that is free, which only a server on this machine can have"""
    start_minutes: float
    """given up when it does not answer after so long: weights are read, kernels are compiled"""
    retries: int
    """how often one prompt is asked again when the server is busy"""
    timeout_s: float
    """that one reply may take, seconds"""
    extra: list[str]
    """further arguments of its command line"""

    def __post_init__(self) -> None:
        require_positive(self, "tensor_parallel", "data_parallel", "context", "start_minutes", "timeout_s")
        require(0 < self.memory_share <= 1, f"memory_share: expected above 0 to 1, got {self.memory_share}")
        require(0 <= self.port < 2**16, f"port: expected 0 to 65535, got {self.port}")
        require(self.retries >= 0, f"retries: expected 0 or more, got {self.retries}")
        if self.url is not None:
            require(self.url.rstrip("/").endswith("/v1"), f"url: expected one that ends in /v1, got {self.url!r}")
        require(not self.key_variable or bool(self.url), "key_variable: only a server at a url has an API key")

    @property
    def gpus(self) -> int:
        """GPUs that all copies take."""
        return self.tensor_parallel * self.data_parallel


@dataclass(kw_only=True, slots=True)
class ServersConfig:
    """Section `servers` of the profile."""

    model: str | None
    """what the chat server serves: a folder, or a name on the hub; null: the model folder that the stage is given"""
    chat: ServerConfig
    """the large model's: prototype, judge, descriptions"""
    answers: ServerConfig
    """of a model of this project: evaluation, load test, thoughts"""
