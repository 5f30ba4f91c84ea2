"""SGLang: continuous batching with a tree of shared prefixes, started as a server in its own environment."""
