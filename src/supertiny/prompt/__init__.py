"""How an example is put before a model (paper App. C)."""
