"""vLLM: continuous batching with prefix caching, started as a server in its own environment."""
