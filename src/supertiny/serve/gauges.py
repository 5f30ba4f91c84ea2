"""What the service tells Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""seconds"""


class Gauges:
    """The metrics of one service."""

    def __init__(self) -> None:
        self._registry = kept = CollectorRegistry()
        self.requests = Counter("supertiny_requests", "Requests, by HTTP status", ["route", "status"], registry=kept)
        self.tokens = Counter("supertiny_tokens", "Tokens read and written", ["model", "kind"], registry=kept)
        self.inside = Gauge("supertiny_requests_in_progress", "Requests answered or waiting for it", registry=kept)
        self.seconds = Histogram(
            "supertiny_step_seconds", "Time of each step", ["model", "step"], buckets=BUCKETS, registry=kept
        )

    def answered(self, model: str, seconds: Mapping[str, float], prompt_tokens: int, new_tokens: int) -> None:
        """Count one answer."""
        for step, taken in seconds.items():
            self.seconds.labels(model, step).observe(taken)
        self.tokens.labels(model, "prompt").inc(prompt_tokens)
        self.tokens.labels(model, "new").inc(new_tokens)

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self._registry)
