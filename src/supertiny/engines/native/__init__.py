"""PyTorch and transformers in this process: the engine that runs everywhere."""
