"""The limits of the service.

They stand apart because stage `resolve` checks them in every project, and what else is here imports torch and the extra
`serve`: five seconds, where both are installed.
"""

from dataclasses import dataclass

from supertiny.core.config import require, require_positive


@dataclass(kw_only=True, slots=True)
class ServiceConfig:
    """Section `service` of the profile: where the service listens, and what it refuses rather than break under."""

    host: str
    """address to listen at; 0.0.0.0: every one, behind a proxy that knows who may ask"""
    port: int
    """0: any that is free"""
    max_waiting: int
    """requests being answered or waiting; one more is refused with 429"""
    timeout_s: float
    """that one request may take, its waiting included; then 504"""
    max_body_kb: int
    """of a request, 1,024 bytes each; a larger one is refused with 413"""

    def __post_init__(self) -> None:
        require(0 <= self.port < 2**16, f"port: expected 0 to 65535, got {self.port}")
        require_positive(self, "max_waiting", "timeout_s", "max_body_kb")
