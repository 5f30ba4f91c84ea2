"""TensorRT-LLM: the paper's deployment (App. H), started as a server in its own environment."""
